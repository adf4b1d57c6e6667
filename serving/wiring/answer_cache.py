"""What gives answers again, put together as the configuration has it."""

import time
from collections.abc import Callable, Iterable, Sequence

from highwayman.env.errors import ConfigError
from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Feedback
from highwayman.serving.completions.answer_cache.answer_cache import AnswerCache, AnswerCacheSettings
from highwayman.serving.completions.answer_cache.answer_recorder import AnswerRecorder
from highwayman.serving.completions.answer_cache.answer_store import AnswerStore
from highwayman.serving.completions.answer_cache.bad_answers import BadAnswers
from highwayman.serving.completions.calls.observers import CompletionObserver
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.config.answer_cache import AnswerCacheConfig
from highwayman.serving.metrics import Metrics
from highwayman.serving.wiring.log import LogComponents
from highwayman.serving.wiring.settings import Settings


def build_answer_cache(settings: Settings, log: LogComponents, metrics: Metrics) -> AnswerCache | None:
    """Return it, None where the configuration wants none. Raises ConfigError where an arm of the pool has its name."""
    config = settings.config.answer_cache
    if config is None:
        return None
    check_names(config, [arm.name for arm in settings.arms])
    store = AnswerStore(
        log.client,
        settings.config.namespace,
        lifetime_s=config.lifetime_s,
        entries=config.entries,
        clock=time.time,
    )
    return AnswerCache(
        store,
        log.factory.encoder,
        AnswerCacheSettings(
            config.max_temperature,
            config.similarity,
            config.repeat_s,
            config.entries,
            settings.config.limits.redis_s,
        ),
        secret=lambda: log.ids.secrets[0],
        pseudonym=log.ids.pseudonym,
        clock=time.time,
        on_lookup=lambda came_to: metrics.answer_lookups.labels(came_to).inc(),
    )


def check_names(config: AnswerCacheConfig, pool: Iterable[str]) -> None:
    """Raise ConfigError where an arm of the pool is called as one that gives stored answers."""
    for name in pool:
        if name in config.arm_names():
            raise ConfigError(
                f"answer_cache: the pool has an arm {name!r}, which is the name of the one that gives stored answers; "
                "give the pool's arm another name, or leave answer_cache out"
            )


def build_answer_listeners(
    cache: AnswerCache | None, log: LogComponents, background: BackgroundTasks, guard: DataGuard | None
) -> tuple[Sequence[CompletionObserver], Callable[[Sequence[Feedback]], None]]:
    """Return what stores answers, and what hears that one is bad; nothing, and who ignores it, without a cache."""
    if cache is None:
        return (), lambda shares: None
    bad_answers = BadAnswers(cache, log.factory.spec, log.store, background)
    return (AnswerRecorder(cache, time.time, guard, bad_answers.on_stored),), bad_answers.on_filed
