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

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policy import Expects, Policy
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.errors import ConfigError, HighwaymanError, StoreUnavailable
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.reward import RewardSpec
from highwayman.env.tasks import Background, end
from highwayman.env.types import Arm
from highwayman.env.upstream.client import Limits, Upstream
from highwayman.feedback.calibration.calibrator import Calibrator
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.journal import Journal, OutcomeJournal
from highwayman.feedback.log.redis import connect
from highwayman.feedback.log.spool import claim
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.auth.api_key_cache import KeyRing
from highwayman.serving.auth.authenticator import Gate
from highwayman.serving.completions.proxy import Line
from highwayman.serving.completions.router import Router
from highwayman.serving.completions.spend_tracker import Spending
from highwayman.serving.config.config import Config
from highwayman.serving.feedback.wiring import Ground, Hearing, hearing
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.learner_factory import Learning, warm_encoder
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState, state_folder
from highwayman.serving.state.namespace_sync import Settling

_LEARNER_TIMEOUT_S = 10.0  # more than any block of a read

log = logging.getLogger(__name__)


class PartFailed(HighwaymanError):
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
    fail: Callable[[], None] = lambda: None  # called when a part that should run for ever has failed


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts."""

    settings: Settings
    pool: Pool
    store: Store
    journal: Journal
    ids: DecisionIds
    spec: RewardSpec
    hearing: Hearing
    gate: Gate
    encoder: Encoder
    live: LivePolicy
    router: Router
    line: Line
    metrics: Metrics


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Build and start everything; on leaving, finish what is under way and stop it.

    Redis may be away: then what this machine kept is in force, or the prior, and events are spooled.

    Raises:
        ConfigError, EncoderError: a part cannot be built, does not fit another, or Redis may evict the log.
    """
    config = settings.config
    async with AsyncExitStack() as stack:
        doors = config.feedback.opened()
        encoder = warm_encoder(config)
        stack.callback(encoder.close)
        learning = Learning(config, settings.arms, encoder)
        kept = LocalState(settings.state, config.namespace, learning.lineage)
        client = _client(stack, settings.redis_url)
        store = learning.store(client)
        stack.push_async_callback(store.close)
        metrics = Metrics()
        spending = Spending(config.budget.ceilings(), time.time)
        journal = OutcomeJournal(
            store,
            claim(kept.spools, limit_bytes=config.limits.spool_bytes),
            writer=secrets.token_hex(8),
            clock=time.monotonic,
            patience_s=config.limits.redis_s,
            tell=metrics.fated,
            written=spending.written,
        )
        own = secrets.token_bytes(32)
        ids = DecisionIds([*kept.secrets(), own], secrets.token_bytes, time.time)
        ring = KeyRing(KeyStore(client, config.namespace, store), kept, lambda: ids.secrets)
        settling = Settling(store, ids, kept, learning, own=own)
        live = LivePolicy(
            learning.publications(client),
            learning.policy,
            learning.arm_names,
            kept=kept,
            clock=time.time,
            tell=metrics.in_force,
        )
        cap = _cap(config, live.policy)
        stack.callback(live.keep)
        try:
            await settling.once()
            await live.refresh()
            await ring.refresh()
        except StoreUnavailable as error:
            recalled = await live.recall()
            log.warning("starting without Redis (%s), on %s", error, _said(live, recalled=recalled))
        for work in (journal.run(), settling.run(), live.follow(), ring.follow()):
            _task(stack, work, settings.fail)
        if settings.learn:
            blocking = _client(stack, settings.redis_url, timeout_s=_LEARNER_TIMEOUT_S)
            _task(stack, learning.worker(blocking).run(), settings.fail)

        health = EndpointHealth(time.monotonic)
        pool = Pool(settings.arms, health)
        limits = Limits(config.limits.connect_s, config.limits.first_byte_s, config.limits.silence_s)
        upstream = Upstream(health, time.monotonic, limits)
        await upstream.start()
        stack.push_async_callback(upstream.close)
        background = Background()
        stack.push_async_callback(background.drain)
        draws = np.random.default_rng(settings.seed)
        calibrator = Calibrator(learning.spec, lambda: live.tally.overlap, config.feedback.calibration.wanted())
        _task(stack, calibrator.follow(), settings.fail)
        ground = Ground(
            learning=learning,
            client=client,
            store=store,
            journal=journal,
            ids=ids,
            metrics=metrics,
            pool=pool,
            upstream=upstream,
            ended=spending.ended,
            rng=draws.spawn(1)[0],
            calibrator=calibrator,
        )
        heard = hearing(ground, doors)
        stack.push_async_callback(heard.audience.close)
        line = Line(
            upstream=upstream,
            journal=journal,
            metrics=metrics,
            background=background,
            clock=time.time,
            timer=time.perf_counter,
            ended=spending.ended,
            audience=heard.audience,
            vote_link=heard.vote_link,
        )
        router = Router(
            pool=pool,
            encoder=encoder,
            live=live,
            policy_name=config.policy.name,
            objectives=config.objectives(),
            floor=config.policy.floor,
            new_id=ids.issue,
            clock=time.time,
            rng=draws,
            pseudonym=ids.pseudonym,
            spending=spending,
            cap=cap,
            trial=config.trial.trial(),
            keep_prompts=config.retention.prompts,
        )
        yield Services(
            settings=settings,
            pool=pool,
            store=store,
            journal=journal,
            ids=ids,
            spec=learning.spec,
            hearing=heard,
            gate=Gate(settings.api_keys, ring),
            encoder=encoder,
            live=live,
            router=router,
            line=line,
            metrics=metrics,
        )


def _client(stack: AsyncExitStack, url: str, *, timeout_s: float = 5.0) -> "aioredis.Redis":
    client = connect(url, timeout_s=timeout_s)
    stack.push_async_callback(client.aclose)
    return client


def _cap(config: Config, policy: Policy) -> ExplorationCap | None:
    """Return the cap on exploration. Raises ConfigError where the policy does not say what it needs."""
    if config.exploration.regret_per_request is not None and not isinstance(policy, Expects):
        raise ConfigError(
            f"exploration.regret_per_request: policy {config.policy.name} does not say what quality it expects; "
            "leave it out, or take a policy that does"
        )
    return config.exploration.cap()


def _said(live: LivePolicy, *, recalled: bool) -> str:
    return f"version {live.version}, kept on this machine" if recalled else "the prior: nothing is kept on this machine"


def _task(stack: AsyncExitStack, work: Coroutine[Any, Any, None], fail: Callable[[], None]) -> None:
    """Run `work` beside the requests until the stack unwinds; should it fail before, that is told at once."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("a background task has ended", exc_info=task.exception())
            fail()

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    stack.push_async_callback(end, task)
