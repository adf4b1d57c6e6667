import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import UnknownDecision
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import encode
from highwayman.feedback.log.store import Keys, Store
from highwayman.feedback.log.upkeep.erasure import Erasure
from highwayman.feedback.log.upkeep.retention import Retention
from tests.feedback.worlds import decision, make_learner, thumb

DAY_S = 86_400
NOW = 1_700_000_000.0


class World:
    """A log of one event a day, the last of them today, learned up to a given day."""

    def __init__(self, client: aioredis.Redis, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self.retention = Retention(client, namespace, window_s=2 * DAY_S)

    async def fill(self, days: int) -> list[str]:
        ids = [f"{int((NOW - ago * DAY_S) * 1000)}-0" for ago in reversed(range(days))]
        for number, event_id in enumerate(ids):
            await self.client.xadd(Keys(self.namespace)("log"), {"e": encode(decision(f"d{number}"))}, id=event_id)
        return ids

    async def learned(self, position: str) -> None:
        publications = Publications(self.client, self.namespace, "test")
        epoch = await publications.acquire("me", hold_s=60)
        learner = make_learner()
        learner.position = position
        assert epoch is not None
        assert await publications.publish(learner.snapshot(), epoch=epoch, holder="me", at=NOW)

    async def trim(self, keep_days: float, *, exported_only: bool = False) -> int:
        return await self.retention.trim(keep_s=keep_days * DAY_S, now=NOW, exported_only=exported_only, lineage="test")

    async def log(self) -> list[str]:
        return [event_id async for page in self.retention.scan(START) for event_id, _, _ in page]


@pytest.fixture
def world(redis_client: aioredis.Redis, namespace: str) -> World:
    return World(redis_client, namespace)


async def test_what_is_older_than_it_may_be_leaves_the_log_and_is_remembered_as_gone(world: World) -> None:
    ids = await world.fill(10)
    await world.learned(ids[-1])
    assert await world.trim(5.5) == 4
    assert await world.log() == ids[4:]
    assert await Store(world.client, world.namespace).trimmed_upto() == ids[3]
    assert await world.trim(5.5) == 0


async def test_what_may_still_be_spoken_about_stays_and_a_day_more_however_short_the_retention(world: World) -> None:
    ids = await world.fill(10)
    await world.learned(ids[-1])
    await world.trim(0.01)
    assert await world.log() == ids[6:]


async def test_what_has_not_been_learned_stays_and_so_does_the_event_the_learner_stands_at(world: World) -> None:
    ids = await world.fill(10)
    await world.learned(ids[2])
    assert await world.trim(5) == 2
    assert await world.log() == ids[2:]


async def test_nothing_leaves_a_log_that_nobody_has_learned(world: World) -> None:
    ids = await world.fill(10)
    assert await world.trim(5) == 0
    assert await world.log() == ids


async def test_what_is_in_no_archive_stays_where_that_is_asked_for(world: World) -> None:
    ids = await world.fill(10)
    await world.learned(ids[-1])
    assert await world.trim(5, exported_only=True) == 0
    await world.retention.mark_exported(ids[3])
    assert await world.trim(5, exported_only=True) == 3
    assert await world.log() == ids[3:]


async def test_feedback_given_at_the_last_moment_is_folded_though_the_learner_stood_still_for_half_a_day(
    world: World,
) -> None:
    made, said = (f"{int((NOW - ago * DAY_S) * 1000)}-0" for ago in (2.5, 0.6))
    keys = Keys(world.namespace)
    await world.client.xadd(keys("log"), {"e": encode(decision("d"))}, id=made)
    await world.learned(made)
    await world.client.xadd(keys("log"), {"e": encode(thumb("d", 1.0))}, id=said)
    await world.client.hset(keys("d", "d"), mapping={"d": made, "f:f0": said})
    await world.trim(0.01)
    record = await Store(world.client, world.namespace).record("d")
    assert record.decision is not None
    assert [one.value for one in record.feedback.values()] == [1.0]


async def test_a_statement_erased_from_somebody_elses_decision_is_refused_when_it_is_sent_again(world: World) -> None:
    store = Store(world.client, world.namespace)
    said = thumb("d0", 1.0, user="bob")
    await store.put_all([decision("d0"), said])
    erasure = Erasure(world.retention, None, ["bob"])
    assert await erasure.find() == 1
    await erasure.put_markers(at=NOW)
    assert await erasure.forget() == (1, 0)
    before = await world.log()
    assert await store.put_all([said]) == [None]
    with pytest.raises(UnknownDecision, match="this statement about it, was erased"):
        await store.put(said)
    assert await world.log() == before
