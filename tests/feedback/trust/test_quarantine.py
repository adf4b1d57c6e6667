"""On a real Valkey: what came with a key goes out of the reward and comes back, exactly, and the fold follows."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from highwayman.env.types import Feedback
from highwayman.feedback.fold.join import is_quarantined
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.fold.log_fold import LogFold, snapshot_difference
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.trust.quarantine import Quarantine
from tests.feedback.worlds import decision, make_learner, outcome, thumb

DAY = 24 * 3600


@pytest.fixture
async def log(valkey_url: str, namespace: str) -> AsyncIterator[tuple[Store, Retention]]:
    client = connect(valkey_url)
    yield Store(client, namespace, window_s=7 * DAY), Retention(client, namespace, window_s=7 * DAY)
    await client.aclose()


def with_key(said: Feedback, key: str, *, quarantined: bool = False) -> Feedback:
    return replace(said, id=f"{said.decision_id}-{key}", key=key, user=key, quarantined=quarantined)


async def folded(retention: Retention, *, without: bytes = b"\0none") -> Learner:
    """The fold of the log, but for events that name `without`."""
    found = LogFold(make_learner(), kept_s=30 * DAY)
    async for page in retention.scan("0-0"):
        assert found.feed([row for row in page if without not in row[1]]) is None
    return found.learner


async def written(store: Store, *, bad: bool, quarantined: bool = False) -> None:
    for number in range(20):
        name = f"d{number}"
        await store.put_all([decision(name), outcome(name), with_key(thumb(name, float(number % 2)), "key-good")])
        if bad:
            await store.put(with_key(thumb(name, 0.0), "key-bad", quarantined=quarantined))


async def test_quarantined_the_state_is_as_if_the_key_had_said_nothing_and_released_as_if_nothing_had_happened(
    log: tuple[Store, Retention],
) -> None:
    store, retention = log
    await written(store, bad=True)
    before = (await folded(retention)).snapshot()
    quarantine = Quarantine(store, retention)
    assert await quarantine.set_quarantined(["key-bad"], quarantined=True, at=1.0) == 20
    assert await quarantine.set_quarantined(["key-bad"], quarantined=True, at=1.0) == 0
    without = (await folded(retention)).snapshot()
    assert snapshot_difference(without, (await folded(retention, without=b"key-bad")).snapshot()).largest < 1e-9
    assert snapshot_difference(without, before).largest > 0.01
    assert await quarantine.set_quarantined(["key-bad"], quarantined=False, at=2.0) == 20
    assert snapshot_difference((await folded(retention)).snapshot(), before).largest < 1e-9


async def test_what_came_from_a_key_in_quarantine_counts_once_it_is_released(log: tuple[Store, Retention]) -> None:
    store, retention = log
    await written(store, bad=True, quarantined=True)
    silent = (await folded(retention)).snapshot()
    assert snapshot_difference(silent, (await folded(retention, without=b"key-bad")).snapshot()).largest < 1e-9
    assert await Quarantine(store, retention).set_quarantined(["key-bad"], quarantined=True, at=1.0) == 0
    assert await Quarantine(store, retention).set_quarantined(["key-bad"], quarantined=False, at=1.0) == 20
    assert snapshot_difference((await folded(retention)).snapshot(), silent).largest > 0.01


async def test_statements_on_decisions_whose_records_have_expired_are_quarantined_too(
    log: tuple[Store, Retention], redis_client: Redis
) -> None:
    store, retention = log
    await written(store, bad=True)
    await redis_client.delete(*[store.keys("d", f"d{number}") for number in range(10)])
    quarantine = Quarantine(store, retention)
    assert await quarantine.set_quarantined(["key-bad"], quarantined=True, at=1.0) == 20
    without = (await folded(retention)).snapshot()
    assert snapshot_difference(without, (await folded(retention, without=b"key-bad")).snapshot()).largest < 1e-9
    await redis_client.delete(*[store.keys("d", f"d{number}") for number in range(10)])
    assert await quarantine.set_quarantined(["key-bad"], quarantined=False, at=2.0) == 20
    records = await store.records([f"d{number}" for number in range(20)])
    assert not any(
        is_quarantined(said, one.quarantine_toggles.get(said.id, ()))
        for one in records.values()
        for said in one.feedback.values()
    )
