import time

import pytest
import redis.asyncio as aioredis

from highwayman.env.types import Status
from highwayman.feedback.learning.maintenance import LogMaintenance, MaintenanceLimits
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from tests.feedback.worlds import decision, outcome

MADE_AT = 1_700_000_000.25  # of the worlds' decisions


class Clock:
    now = MADE_AT

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(redis_client: aioredis.Redis, namespace: str) -> Store:
    return Store(redis_client, namespace)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chores(store: Store, redis_client: aioredis.Redis, namespace: str, clock: Clock) -> LogMaintenance:
    retention = Retention(redis_client, namespace, window_s=60)
    limits = MaintenanceLimits(outcome_s=30.0, keep_s=None, exported_only=False)
    return LogMaintenance(store, retention, limits, lineage="test", clock=clock)


async def test_a_call_nobody_speaks_of_is_given_up_as_lost_after_its_time_and_not_before(
    store: Store, chores: LogMaintenance, clock: Clock
) -> None:
    await store.put_all([decision("gone", arm="b"), decision("done"), outcome("done")])
    clock.now = MADE_AT + 29.0
    await chores()
    assert (await store.record("gone")).outcome is None
    clock.now = MADE_AT + 31.0
    await chores()
    lost = (await store.record("gone")).outcome
    assert lost is not None
    assert (lost.status, lost.arm, lost.cost_usd, lost.tokens_in) == (Status.LOST, "b", None, 0)
    assert (await store.record("done")).outcome == outcome("done")
    assert await store.decisions_without_outcome(time.time(), count=9) == []


async def test_an_outcome_that_turns_up_after_all_replaces_the_lost_one(
    store: Store, chores: LogMaintenance, clock: Clock
) -> None:
    await store.put(decision("slow"))
    clock.now = MADE_AT + 31.0
    await chores()
    await store.put(outcome("slow", arm="b"))
    assert (await store.record("slow")).outcome == outcome("slow", arm="b")
    await chores()
    assert (await store.record("slow")).outcome == outcome("slow", arm="b")
