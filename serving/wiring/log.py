"""The log and all that hangs on its namespace, and the learner that reads it."""

import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Outcome
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.log.writing.outcome_journal import OutcomeJournal
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.auth.api_key_cache import ApiKeyCache
from highwayman.serving.metrics import Metrics
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.state.namespace_sync import NamespaceSync
from highwayman.serving.state.pool_objectives import PoolObjectives
from highwayman.serving.wiring.background import start_in_background
from highwayman.serving.wiring.settings import Settings

_LEARNER_TIMEOUT_S = 10.0  # more than any block of a read

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogComponents:
    """Where events go, and what this process knows of the namespace they are in."""

    factory: LearnerFactory
    local_state: LocalState
    client: "aioredis.Redis"
    store: Store
    journal: Journal
    ids: DecisionIds
    key_cache: ApiKeyCache
    namespace_sync: NamespaceSync
    objectives: PoolObjectives


def build_learner_factory(stack: AsyncExitStack, settings: Settings) -> LearnerFactory:
    """Return what makes learners, with a warm encoder. Raises ConfigError (also for challengers), EncoderError."""
    encoder = warm_encoder(settings.config)
    stack.callback(encoder.close)
    factory = LearnerFactory(settings.config, settings.arms, encoder)
    factory.check_policies()
    return factory


def build_log(
    stack: AsyncExitStack,
    settings: Settings,
    factory: LearnerFactory,
    *,
    metrics: Metrics,
    on_logged: Callable[[Outcome, EventId | None], None],
    on_drained: Callable[[EventId], None],
) -> LogComponents:
    """Return the parts of the log, none of which has spoken with Redis yet; `on_logged` is told of every outcome,
    `on_drained` of the place of the last event that had waited in the spool.

    Raises:
        ConfigError: the prior or the folder for the state cannot be used.
    """
    config = settings.config
    local_state = LocalState(settings.state, config.namespace, factory.lineage)
    client = _client(stack, settings.redis_url)
    store = factory.store(client)
    stack.push_async_callback(store.close)
    journal = OutcomeJournal(
        store,
        claim_spools(local_state.spools, limit_bytes=config.limits.spool_bytes),
        writer=secrets.token_hex(8),
        clock=time.monotonic,
        patience_s=config.limits.redis_s,
        on_delivery_outcome=metrics.on_delivery_outcome,
        on_logged=on_logged,
        on_drained=on_drained,
    )
    objectives = PoolObjectives(config, settings.arms, local_state.spread())
    own = secrets.token_bytes(32)
    ids = DecisionIds([*local_state.secrets(), own], os.urandom, time.time)
    return LogComponents(
        factory=factory,
        local_state=local_state,
        client=client,
        store=store,
        journal=journal,
        ids=ids,
        key_cache=ApiKeyCache(KeyStore(client, config.namespace, store), local_state, lambda: ids.secrets),
        namespace_sync=NamespaceSync(
            store, ids, local_state, factory, objectives=objectives, own=own, entries=_entries(settings)
        ),
        objectives=objectives,
    )


def _entries(settings: Settings) -> Mapping[str, Any] | None:
    return None if settings.loaded is None else settings.loaded.pool.entries


async def start_log(stack: AsyncExitStack, settings: Settings, parts: LogComponents, live: LivePolicy) -> None:
    """Come into step with the namespace and stay so; learn, where that is wanted.

    Redis may be away: then what this machine kept is in force, or the prior.

    Raises:
        ConfigError: Redis may evict the log.
    """
    try:
        await parts.namespace_sync.sync_once()
        await live.refresh()
        await parts.key_cache.refresh()
    except StoreUnavailable as error:
        recalled = await live.load_cached()
        log.warning("starting without Redis (%s), on %s", error, _state_in_force(live, recalled=recalled))
    log.info("what quality is worth: %s", parts.objectives)
    for warning in parts.objectives.warnings():
        log.warning("%s", warning)
    for work in (parts.journal.run(), parts.namespace_sync.run(), live.run(), parts.key_cache.run()):
        start_in_background(stack, work, settings.on_failure)
    if settings.learn:
        blocking = _client(stack, settings.redis_url, timeout_s=_LEARNER_TIMEOUT_S)
        start_in_background(stack, parts.factory.worker(blocking).run(), settings.on_failure)
        for worker in parts.factory.contender_workers(blocking):
            start_in_background(stack, worker.run(), lambda: None)  # one that fails ends nothing but its own score


def _client(stack: AsyncExitStack, url: str, *, timeout_s: float = 5.0) -> "aioredis.Redis":
    client = connect(url, timeout_s=timeout_s)
    stack.push_async_callback(client.aclose)
    return client


def _state_in_force(live: LivePolicy, *, recalled: bool) -> str:
    return f"version {live.version}, kept on this machine" if recalled else "the prior: nothing is kept on this machine"
