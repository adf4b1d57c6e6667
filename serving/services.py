"""Everything a router process holds, built in order and taken down in reverse."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from highwayman.bandit.policy import Policy, load_policy
from highwayman.env.encoder import Encoder, make_encoder
from highwayman.env.health import EndpointHealth
from highwayman.env.pool import Pool
from highwayman.env.reward import DEFAULT_SPEC, RewardSpec
from highwayman.env.types import Arm, Query
from highwayman.env.upstream import Limits, Upstream
from highwayman.feedback.learner import Learner
from highwayman.feedback.publications import Publications, lineage
from highwayman.feedback.redis import connect
from highwayman.feedback.store import Store
from highwayman.feedback.worker import Worker
from highwayman.serving.asgi import Background
from highwayman.serving.call import Line
from highwayman.serving.config import Config
from highwayman.serving.ids import DecisionIds
from highwayman.serving.live_policy import LivePolicy
from highwayman.serving.metrics import Metrics
from highwayman.serving.routing import Router
from highwayman.serving.tasks import end

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a router process is started with."""

    arms: tuple[Arm, ...]
    redis_url: str
    config: Config = field(default_factory=Config)
    api_keys: frozenset[str] = frozenset()  # empty: open, on loopback only
    learn: bool = True  # stand for the learner's lease
    seed: int | None = None  # of the draws; None: from the system


@dataclass(frozen=True, slots=True)
class Services:
    """The running parts."""

    settings: Settings
    pool: Pool
    store: Store
    ids: DecisionIds
    spec: RewardSpec
    encoder: Encoder
    live: LivePolicy
    router: Router
    line: Line
    metrics: Metrics


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Build and start everything; on leaving, finish what is under way and stop it.

    Raises:
        StoreUnavailable: Redis does not answer at start.
        ConfigError, EncoderError: a part cannot be built.
    """
    config = settings.config
    async with AsyncExitStack() as stack:
        client = connect(settings.redis_url)
        stack.push_async_callback(client.aclose)
        store = Store(client, config.namespace, window_s=config.limits.feedback_window_s)
        ids = DecisionIds(await store.secret(secrets.token_bytes(32)), secrets.token_bytes)
        await _warn_of_eviction(store)

        health = EndpointHealth(time.monotonic)
        pool = Pool(settings.arms, health)
        limits = Limits(config.limits.connect_s, config.limits.first_byte_s, config.limits.silence_s)
        upstream = Upstream(health, time.monotonic, limits)
        await upstream.start()
        stack.push_async_callback(upstream.close)
        encoder = _encoder(config)
        stack.callback(encoder.close)

        publications = Publications(client, config.namespace, _lineage(config, encoder))
        live = LivePolicy(publications, lambda: _policy(config, encoder), pool.arms)
        await live.refresh()
        _task(stack, live.follow())
        if settings.learn:
            _task(stack, _worker(store, publications, settings, encoder).run())

        metrics = Metrics()
        metrics.policy_version.set_function(lambda: live.version)
        background = Background()
        stack.push_async_callback(background.drain)
        line = Line(upstream, store, metrics, background, time.time, time.perf_counter)
        router = Router(
            pool=pool,
            encoder=encoder,
            live=live,
            policy_name=config.policy.name,
            objectives=config.objectives(),
            floor=config.policy.floor,
            new_id=ids.issue,
            clock=time.time,
            rng=np.random.default_rng(settings.seed),
        )
        yield Services(settings, pool, store, ids, DEFAULT_SPEC, encoder, live, router, line, metrics)


def _encoder(config: Config) -> Encoder:
    wanted = config.encoder
    encoder = make_encoder(
        wanted.engine, model=wanted.model, device=wanted.device, dtype=wanted.dtype, deadline_s=wanted.deadline_s
    )
    encoder.context_of(Query(text="warm up", prompt_chars=7))  # the first text costs more than the deadline allows
    return encoder


def _policy(config: Config, encoder: Encoder) -> Policy:
    options = config.policy.options
    return load_policy(config.policy.name, d=encoder.d, fingerprint=encoder.fingerprint, options=options)


def _lineage(config: Config, encoder: Encoder) -> str:
    return lineage(config.policy.name, config.policy.options, encoder.fingerprint, DEFAULT_SPEC.version)


def _worker(store: Store, publications: Publications, settings: Settings, encoder: Encoder) -> Worker:
    def make_learner() -> Learner:
        policy = _policy(settings.config, encoder)
        names = [arm.name for arm in settings.arms]
        return Learner(policy, DEFAULT_SPEC, fingerprint=encoder.fingerprint, arms=names)

    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    return Worker(store, publications, make_learner, holder=holder, clock=time.monotonic)


async def _warn_of_eviction(store: Store) -> None:
    policy = await store.eviction_policy()
    if policy not in (None, "noeviction"):
        log.warning("Redis has maxmemory-policy %s and may throw the log away; set it to noeviction", policy)


def _task(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` beside the requests; it is cancelled and awaited when the stack unwinds."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell_of_failure)
    stack.push_async_callback(end, task)


def _tell_of_failure(task: asyncio.Task[None]) -> None:
    """Log at once that a task which should run for ever has failed."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("a background task has ended", exc_info=task.exception())
