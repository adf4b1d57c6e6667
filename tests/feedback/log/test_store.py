"""The store's contract, on a real server of every kind: Valkey, Redis, a Cluster, behind Sentinels, TLS with an ACL."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable, UnknownDecision
from highwayman.env.types import Control, ControlKind, Status
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.config_events import active_namespaces
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys, LogTruncated, Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.serving.completions.answer_cache.answer_store import AnswerRow, AnswerStore, StoredAnswer
from tests.feedback.worlds import decision, make_learner, outcome, thumb

pytest_plugins = ["tests.redis_servers"]


@pytest.fixture
async def client(any_redis_url: str) -> AsyncIterator[aioredis.Redis]:
    client = connect(any_redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def store(client: aioredis.Redis, namespace: str) -> AsyncIterator[Store]:
    store = Store(client, namespace)
    yield store
    await store.close()


async def caught_up(client: aioredis.Redis, namespace: str) -> LearnerSession:
    """A learner that has folded the whole log, and published it."""
    publications = Publications(client, namespace, "test")
    epoch = await publications.acquire("one", hold_s=5)
    assert epoch is not None
    parts = LearnerDependencies(
        Store(client, namespace), publications, VersionHistory(client, namespace, "test"), make_learner
    )
    turn = LearnerSession(parts, holder="one", epoch=epoch, wall=time.time)
    await turn.start()
    await turn.advance(count=100, block_s=0.01)
    assert await turn.publish()
    return turn


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


async def test_records_outlive_the_feedback_window_by_a_day(client: aioredis.Redis, namespace: str) -> None:
    await Store(client, namespace, window_s=1234).put(decision("d"))
    assert 86_400 + 1230 <= await client.ttl(Keys(namespace)("d", "d")) <= 86_400 + 1234


async def test_a_writers_mark_is_found_where_it_was_left(store: Store) -> None:
    assert await store.put_marked([decision("d")], writer="me", mark="1") == ([await store.put(decision("d"))], None)
    ids, found = await store.put_marked([decision("e"), outcome("e")], writer="me", mark="2")
    assert (all(ids), found) == (True, "1")
    assert await store.put_marked([], writer="me", mark="3") == ([], "2")


async def test_a_decision_is_open_until_its_outcome_comes_and_a_lost_one_may_still_turn_up(store: Store) -> None:
    await store.put(decision("d"))
    assert await store.decisions_without_outcome(time.time(), count=10) == ["d"]
    lost = await store.put(outcome("d", status=Status.LOST))
    assert await store.decisions_without_outcome(time.time(), count=10) == []
    came = await store.put(outcome("d", arm="b"))
    assert came != lost
    assert await store.put(outcome("d", status=Status.LOST)) == came
    assert (await store.record("d")).outcome == outcome("d", arm="b")


async def test_what_is_in_force_is_announced_once(store: Store) -> None:
    change = Control(1.0, ControlKind.ARM_ADDED, {"arm": "a"})
    assert len(await store.put_config_changes([change], before="", after="one") or ()) == 1
    assert await store.put_config_changes([change], before="", after="one") is None
    assert await store.active_config() == "one"
    assert [decode(data) for _, data, _ in await store.read(START, count=9, block_s=0.01)] == [change]


async def test_namespaces_are_found_wherever_redis_lets_one_look(
    store: Store, namespace: str, client: aioredis.Redis, any_redis_url: str
) -> None:
    await store.put_config_changes([], before="", after="one")
    names = await active_namespaces(client)
    assert names == [] if any_redis_url.startswith("rediss://") else namespace in names  # its user may not scan


async def test_an_event_that_was_read_and_is_gone_is_told(store: Store, client: aioredis.Redis, namespace: str) -> None:
    read = await store.put(decision("d"))
    await store.put(decision("e"))
    assert len(await store.read(read, count=9, block_s=0, anchored=True)) == 1
    await client.xdel(Keys(namespace)("log"), read)
    with pytest.raises(LogTruncated):
        await store.read(read, count=9, block_s=0, anchored=True)


async def test_what_is_learned_is_published_kept_erased_and_trimmed(client: aioredis.Redis, namespace: str) -> None:
    store, retention = Store(client, namespace), Retention(client, namespace, window_s=60)
    await store.put_all([decision("d"), outcome("d"), thumb("d", 1.0), decision("e"), thumb("e", 1.0)])
    turn = await caught_up(client, namespace)
    (kept,) = await VersionHistory(client, namespace, "test").all()
    assert (kept.decisions, kept.feedback) == (2, 2)
    found = await VersionHistory(client, namespace, "test").load(kept.version)
    published = await Publications(client, namespace, "test").load()
    assert found == published
    assert published is not None
    assert published.snapshot == turn.learner.snapshot()
    await retention.put_erasure("d", feedback=[], known=[], at=1.0)
    await turn.advance(count=100, block_s=0.01)
    assert turn.learner.tally.totals().feedback == 1
    ids = [event_id async for page in retention.scan(START) for event_id, _, _ in page]
    assert await retention.forget("d", feedback=[], event_ids=ids[:3]) == 3
    assert await turn.publish()
    assert await retention.trim(keep_s=60, now=time.time() + 99_999, exported_only=False, lineage="test") == 2
    assert await store.trimmed_upto() == ids[4]


async def test_no_redis_is_store_unavailable_at_once(tmp_path: object) -> None:
    client = connect(f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(StoreUnavailable):
        await Store(client, "x").put(decision("d"))
    await client.aclose()


def test_every_key_of_a_namespace_has_one_hash_tag() -> None:
    assert Keys("prod")("d", "1") == "highwayman:{prod}:d:1"
    with pytest.raises(ValueError, match="braces"):
        Keys("{x}")


async def test_answers_are_stored_found_and_forgotten_on_every_kind_of_server(
    client: aioredis.Redis, namespace: str
) -> None:
    answers = AnswerStore(client, namespace, entries=2, clock=time.time)
    for name in "abc":
        said = StoredAnswer(name, "arm", time.time(), user="ann", decision_id=f"d-{name}")
        assert await answers.put(AnswerRow(name, "g", b"v"), said)
    found, rows = await answers.get_and_rows("c", after=START)
    assert found is not None
    assert [row.exact for _, row in rows] == ["b", "c"]
    assert [await answers.forget_given(f"d-{name}") for name in "ab"] == [False, True]
    assert await answers.forget(["ann"]) == 1
    assert await answers.get_and_rows("c", after=START) == (None, [])
