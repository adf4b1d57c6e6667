import asyncio

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable, UnknownDecision
from highwayman.feedback.events import decode
from highwayman.feedback.join import START
from highwayman.feedback.redis import connect
from highwayman.feedback.store import Keys, Store
from tests.feedback.worlds import decision, outcome, thumb


@pytest.fixture
def store(redis_client: aioredis.Redis, namespace: str) -> Store:
    return Store(redis_client, namespace)


async def test_events_are_read_in_the_order_they_were_put(store: Store) -> None:
    ids = [
        await store.put(decision("d")),
        await store.put(outcome("d")),
        await store.put(thumb("d", 1.0)),
    ]
    found = await store.read(START, count=10, block_s=0.01)
    assert [event_id for event_id, _, _ in found] == ids
    assert [type(decode(data)).__name__ for _, data, _ in found] == ["Decision", "Outcome", "Feedback"]
    assert [event_id for event_id, _, _ in await store.read(ids[0], count=10, block_s=0.01)] == ids[1:]


async def test_a_record_holds_all_that_was_filed(store: Store) -> None:
    await store.put(decision("d"))
    outcome_id = await store.put(outcome("d", arm="b"))
    up, down = thumb("d", 1.0), thumb("d", 0.0)
    first, second = await store.put(up), await store.put(down)
    record = await store.record("d")
    assert record.decision is not None
    assert record.decision.id == "d"
    assert (record.outcome, record.outcome_id) == (outcome("d", arm="b"), outcome_id)
    assert dict(record.feedback) == {first: up, second: down}


async def test_a_decision_or_outcome_put_twice_is_on_the_log_once(store: Store) -> None:
    first, again = await store.put(decision("d")), await store.put(decision("d"))
    ended, ended_again = await store.put(outcome("d")), await store.put(outcome("d"))
    assert (first, ended) == (again, ended_again)
    assert len(await store.read(START, count=10, block_s=0.01)) == 2


async def test_feedback_may_come_before_its_decision_and_the_decision_points_at_it(store: Store) -> None:
    said = thumb("d", 1.0)
    early = await store.put(said)
    with pytest.raises(UnknownDecision, match="d"):
        await store.record("d")
    made = await store.put(decision("d"))
    assert [(event_id, before) for event_id, _, before in await store.read(START, count=10, block_s=0.01)] == [
        (early, False),
        (made, True),
    ]
    record = await store.record("d")
    assert (record.decision_id, dict(record.feedback)) == (made, {early: said})


async def test_feedback_sent_again_is_on_the_log_once(store: Store) -> None:
    await store.put(decision("d"))
    said = thumb("d", 1.0)
    assert await store.put(said) == await store.put(said)
    assert len(await store.read(START, count=10, block_s=0.01)) == 2


async def test_a_reader_is_woken_by_the_next_event(store: Store) -> None:
    reading = asyncio.create_task(store.read(START, count=10, block_s=0.9))
    event_id = await store.put(decision("d"))
    assert [found for found, _, _ in await reading] == [event_id]


async def test_the_first_secret_signs_and_one_that_was_used_without_redis_is_added(store: Store) -> None:
    assert await store.secrets(b"one", issued=False) == [b"one"]
    assert await store.secrets(b"two", issued=False) == [b"one"]
    assert await store.secrets(b"three", issued=True) == [b"one", b"three"]


async def test_records_outlive_the_feedback_window_by_a_day(redis_client: aioredis.Redis, namespace: str) -> None:
    await Store(redis_client, namespace, window_s=1234).put(decision("d"))
    assert 86_400 + 1230 <= await redis_client.ttl(Keys(namespace)("d", "d")) <= 86_400 + 1234


async def test_no_redis_is_store_unavailable_at_once(tmp_path: object) -> None:
    client = connect(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(StoreUnavailable):
        await Store(client, "x").put(decision("d"))
    await client.aclose()


def test_every_key_of_a_namespace_has_one_hash_tag() -> None:
    assert Keys("prod")("d", "1") == "highwayman:{prod}:d:1"
    with pytest.raises(ValueError, match="braces"):
        Keys("{x}")
