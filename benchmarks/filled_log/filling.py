"""Puts a made-up log into a namespace through the real store, in the order of its times."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import redis.asyncio as aioredis

from benchmarks.filled_log.statements import LIAR
from benchmarks.filled_log.steps import Step, steps
from benchmarks.filled_log.traffic import Clock, Traffic, Written
from benchmarks.filled_log.world import World, filled_config
from highwayman.bandit.tenants import TenantPolicies
from highwayman.env.cost.objective import AUTO
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.types import Decision, Mode
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.quarantine import Quarantine
from highwayman.serving.config.config import Config
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder

_MARGIN_S: Final = 30.0  # between the log's last second and now
_LIES, _CAUGHT, _ERASED = 0.84, 0.9, 0.95  # shares of the time


@dataclass(frozen=True, slots=True)
class Filled:
    """What was put on the log."""

    config: Config  # with which a router goes on
    decisions: int
    events: int
    begin: float  # seconds since the epoch
    end: float


async def fill(
    client: "aioredis.Redis",
    namespace: str,
    *,
    now: float,
    decisions: int = 3_000,
    seed: int = 0,
    world: World | None = None,
    **config: Any,
) -> Filled:
    """Return what was put on an empty log: requests up to `now` (seconds since the epoch), the same for a seed.

    Args:
        client: of the server.
        namespace: whose log; nobody else may write to it meanwhile.
        now: when the log ends.
        decisions: of requests; a judge's calls and shadow answers come on top.
        seed: of all that is drawn, and of the namespace's secret.
        world: what happens to the arms.
        config: keys of the configuration beside those of `filled_config`.
    """
    world, loaded, rng = world or World(), filled_config(namespace, **config), np.random.default_rng(seed)
    factory = LearnerFactory(loaded, world.arms, warm_encoder(loaded))
    try:
        store, clock = factory.store(client), Clock()
        secret = hashlib.blake2b(f"{namespace} {seed}".encode(), digest_size=32).digest()
        ids = DecisionIds(await store.secrets(secret, issued=False), rng.bytes, clock)
        begin = now - _MARGIN_S - world.hours * 3600.0
        traffic = Traffic(
            world,
            factory.encoder,
            _policies(factory),
            factory.spec,
            _objective(factory),
            ids,
            clock,
            rng,
            keep_prompts=loaded.retention.prompts,
        )
        caught = world.at(_CAUGHT)
        events = sorted(
            traffic.events(decisions, begin=begin, liar_from=world.at(_LIES), liar_until=caught), key=lambda e: e.at
        )
        events = [event for event in events if event.at <= now]
        told = [
            *steps(world, factory),
            (caught, _quarantine(factory, client)),
            (world.at(_ERASED), _erase(factory, client, events)),
        ]
        await _put(store, events, sorted(told, key=lambda step: step[0]), begin)
        await store.settle_spread({"usd": PoolSpread.of_arms(world.arms).usd or 0.0})
        made = sum(isinstance(event, Decision) for event in events)
        return Filled(loaded, made, len(events) + len(told), begin, now)
    finally:
        factory.encoder.close()


async def _put(store: Store, events: list[Written], told: list[tuple[float, Step]], begin: float) -> None:
    """Put the events on the log, and each step before the first event that comes after it."""
    place = 0
    for second, step in told:
        end = place
        while end < len(events) and events[end].at < begin + second:
            end += 1
        await store.put_all(events[place:end])
        place = end
        await step(store, begin + second)
    await store.put_all(events[place:])


def _policies(factory: LearnerFactory) -> TenantPolicies:
    policies = TenantPolicies(factory.policy(), factory.policy)
    for name in factory.arm_names:
        policies.add_arm(name)
    return policies


def _objective(factory: LearnerFactory) -> Any:
    return factory.config.objectives(PoolSpread.of_arms(factory.arms))[AUTO]


def _quarantine(factory: LearnerFactory, client: "aioredis.Redis") -> Step:
    async def put(store: Store, at: float) -> object:
        return await Quarantine(store, factory.retention(client)).set_quarantined([LIAR], quarantined=True, at=at)

    return put


def _erase(factory: LearnerFactory, client: "aioredis.Redis", events: list[Written]) -> Step:
    """Return the step that erases two requests, as their person asked for."""

    async def put(store: Store, at: float) -> object:
        retention = factory.retention(client)
        gone = [event.id for event in events if isinstance(event, Decision) and event.mode is Mode.ROUTE][:2]
        return [await retention.put_erasure(name, feedback=(), known=(), at=at) for name in gone]

    return put
