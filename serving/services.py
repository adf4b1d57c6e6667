"""Everything a router process holds, built in order and taken down in reverse."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import redis.asyncio as aioredis

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policy import Policy, PredictsQuality
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.errors import ConfigError, HighwaymanError, StoreUnavailable
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.reward import RewardSpec
from highwayman.env.tasks import BackgroundTasks, cancel_and_wait
from highwayman.env.types import Arm
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from highwayman.feedback.calibration.calibrator import Calibrator
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.journal import Journal, OutcomeJournal
from highwayman.feedback.log.redis import connect
from highwayman.feedback.log.spool import claim_spools
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.auth.api_key_cache import ApiKeyCache
from highwayman.serving.auth.authenticator import Authenticator
from highwayman.serving.completions.proxy import ProxyDependencies
from highwayman.serving.completions.router import Router
from highwayman.serving.completions.spend_tracker import SpendTracker
from highwayman.serving.config.config import Config
from highwayman.serving.feedback.wiring import FeedbackComponents, FeedbackDependencies, build_feedback
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState, state_folder
from highwayman.serving.state.namespace_sync import NamespaceSync

_LEARNER_TIMEOUT_S = 10.0  # more than any block of a read

log = logging.getLogger(__name__)


class BackgroundTaskFailed(HighwaymanError):
    """A part of the router that should run for ever has failed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a router process is started with."""

    arms: tuple[Arm, ...]
    redis_url: str
    config: Config = field(default_factory=Config)
    api_keys: frozenset[str] = frozenset()  # empty: open, on loopback only
    learn: bool = True  # stand for the learner's lease
    seed: int | None = None  # of the draws; None: from the system
    state: Path = field(default_factory=state_folder)  # spools, and what a start without Redis needs
    on_failure: Callable[[], None] = lambda: None  # called when a part that should run for ever has failed


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts."""

    settings: Settings
    pool: Pool
    store: Store
    journal: Journal
    ids: DecisionIds
    spec: RewardSpec
    feedback: FeedbackComponents
    authenticator: Authenticator
    encoder: Encoder
    live: LivePolicy
    router: Router
    proxy_dependencies: ProxyDependencies
    metrics: Metrics


@asynccontextmanager
async def build_services(settings: Settings) -> AsyncIterator[Services]:
    """Build and start everything; on leaving, finish what is under way and stop it.

    Redis may be away: then what this machine kept is in force, or the prior, and events are spooled.

    Raises:
        ConfigError, EncoderError: a part cannot be built, does not fit another, or Redis may evict the log.
    """
    config = settings.config
    async with AsyncExitStack() as stack:
        adapters = config.feedback.adapters()
        encoder = warm_encoder(config)
        stack.callback(encoder.close)
        factory = LearnerFactory(config, settings.arms, encoder)
        local_state = LocalState(settings.state, config.namespace, factory.lineage)
        client = _client(stack, settings.redis_url)
        store = factory.store(client)
        stack.push_async_callback(store.close)
        metrics = Metrics()
        spend_tracker = SpendTracker(config.budget.limits(), time.time)
        journal = OutcomeJournal(
            store,
            claim_spools(local_state.spools, limit_bytes=config.limits.spool_bytes),
            writer=secrets.token_hex(8),
            clock=time.monotonic,
            patience_s=config.limits.redis_s,
            on_delivery_outcome=metrics.on_delivery_outcome,
            on_logged=spend_tracker.on_logged,
        )
        own = secrets.token_bytes(32)
        ids = DecisionIds([*local_state.secrets(), own], secrets.token_bytes, time.time)
        key_cache = ApiKeyCache(KeyStore(client, config.namespace, store), local_state, lambda: ids.secrets)
        namespace_sync = NamespaceSync(store, ids, local_state, factory, own=own)
        live = LivePolicy(
            factory.publications(client),
            factory.policy,
            factory.arm_names,
            cache=local_state,
            clock=time.time,
            on_version=metrics.on_version,
        )
        cap = _cap(config, live.policy)
        stack.callback(live.write_cache)
        try:
            await namespace_sync.sync_once()
            await live.refresh()
            await key_cache.refresh()
        except StoreUnavailable as error:
            recalled = await live.load_cached()
            log.warning("starting without Redis (%s), on %s", error, _state_in_force(live, recalled=recalled))
        for work in (journal.run(), namespace_sync.run(), live.run(), key_cache.run()):
            _task(stack, work, settings.on_failure)
        if settings.learn:
            blocking = _client(stack, settings.redis_url, timeout_s=_LEARNER_TIMEOUT_S)
            _task(stack, factory.worker(blocking).run(), settings.on_failure)

        health = EndpointHealth(time.monotonic)
        pool = Pool(settings.arms, health)
        limits = UpstreamTimeouts(config.limits.connect_s, config.limits.first_byte_s, config.limits.silence_s)
        upstream = Upstream(health, time.monotonic, limits)
        await upstream.start()
        stack.push_async_callback(upstream.close)
        background = BackgroundTasks()
        stack.push_async_callback(background.drain)
        draws = np.random.default_rng(settings.seed)
        calibrator = Calibrator(
            factory.spec, lambda: live.tally.calibration_counts, config.feedback.calibration.settings()
        )
        _task(stack, calibrator.run(), settings.on_failure)
        dependencies = FeedbackDependencies(
            factory=factory,
            client=client,
            store=store,
            journal=journal,
            ids=ids,
            metrics=metrics,
            pool=pool,
            upstream=upstream,
            on_outcome=spend_tracker.on_outcome,
            rng=draws.spawn(1)[0],
            calibrator=calibrator,
        )
        feedback = build_feedback(dependencies, adapters)
        stack.push_async_callback(feedback.observers.close)
        proxy_dependencies = ProxyDependencies(
            upstream=upstream,
            journal=journal,
            metrics=metrics,
            background=background,
            clock=time.time,
            timer=time.perf_counter,
            on_outcome=spend_tracker.on_outcome,
            observers=feedback.observers,
            vote_link=feedback.vote_link,
        )
        router = Router(
            pool=pool,
            encoder=encoder,
            live=live,
            policy_name=config.policy.name,
            objectives=config.objectives(),
            rules=ExplorationRules(config.policy.floor, config.trial.quota(), cap),
            new_id=ids.issue,
            clock=time.time,
            rng=draws,
            pseudonym=ids.pseudonym,
            spend_tracker=spend_tracker,
            keep_prompts=config.retention.prompts,
        )
        yield Services(
            settings=settings,
            pool=pool,
            store=store,
            journal=journal,
            ids=ids,
            spec=factory.spec,
            feedback=feedback,
            authenticator=Authenticator(settings.api_keys, key_cache),
            encoder=encoder,
            live=live,
            router=router,
            proxy_dependencies=proxy_dependencies,
            metrics=metrics,
        )


def _client(stack: AsyncExitStack, url: str, *, timeout_s: float = 5.0) -> "aioredis.Redis":
    client = connect(url, timeout_s=timeout_s)
    stack.push_async_callback(client.aclose)
    return client


def _cap(config: Config, policy: Policy) -> ExplorationCap | None:
    """Return the cap on exploration. Raises ConfigError where the policy does not say what it needs."""
    if config.exploration.regret_per_request is not None and not isinstance(policy, PredictsQuality):
        raise ConfigError(
            f"exploration.regret_per_request: policy {config.policy.name} does not say what quality it expects; "
            "leave it out, or take a policy that does"
        )
    return config.exploration.cap()


def _state_in_force(live: LivePolicy, *, recalled: bool) -> str:
    return f"version {live.version}, kept on this machine" if recalled else "the prior: nothing is kept on this machine"


def _task(stack: AsyncExitStack, work: Coroutine[Any, Any, None], on_failure: Callable[[], None]) -> None:
    """Run `work` beside the requests until the stack unwinds; should it fail before, that is told at once."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("a background task has ended", exc_info=task.exception())
            on_failure()

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    stack.push_async_callback(cancel_and_wait, task)
