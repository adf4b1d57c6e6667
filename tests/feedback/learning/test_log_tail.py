import asyncio
import random
from collections.abc import Sequence

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.fold.learner import LogEntry
from highwayman.feedback.learning.log_tail import LogRow, LogTail
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.events import decode, encode
from highwayman.feedback.log.store import LogTruncated, Store
from tests.feedback.worlds import decision, make_learner, outcome, thumb


class Reader:
    """Somebody who reads the log's tail on and folds it."""

    def __init__(self, tail: LogTail, store: Store) -> None:
        self.tail, self.store, self.learner = tail, store, make_learner()

    @property
    def position(self) -> EventId:
        return self.learner.position

    async def rows(self, count: int = 100, *, block_s: float = 0.0, anchored: bool = False) -> list[LogRow]:
        rows = await self.tail.read(self, self.store, self.position, count=count, block_s=block_s, anchored=anchored)
        return [*rows]

    async def advance(self, count: int = 100) -> list[LogEntry]:
        entries, unreadable = await self.tail.entries(self.store, await self.rows(count))
        assert not unreadable
        assert not self.learner.step(entries).rejected
        return entries


async def _unavailable(store: Store, decision_ids: Sequence[str]) -> None:
    raise StoreUnavailable("gone")


@pytest.fixture
def store(redis_client: aioredis.Redis, namespace: str) -> Store:
    return Store(redis_client, namespace)


def tail_and_count() -> tuple[LogTail, list[bytes]]:
    """A tail, and what it has decoded."""
    decoded: list[bytes] = []
    return LogTail(lambda data: (decoded.append(data), decode(data))[1]), decoded


async def test_readers_that_take_turns_decode_each_event_once_and_come_to_what_one_alone_comes_to(store: Store) -> None:
    rng = random.Random(0)
    for number in range(40):
        events = [decision(f"d{number}"), outcome(f"d{number}"), thumb(f"d{number}", float(rng.random() < 0.5))]
        rng.shuffle(events)
        await store.put_all(events)
    tail, decoded = tail_and_count()
    readers = [Reader(tail, store), Reader(tail, store)]
    alone = Reader(LogTail(), store)
    for reader in readers:
        await reader.rows(1)  # from now on there are two
    while await alone.advance():
        pass
    while any(reader.position != alone.position for reader in readers):
        await rng.choice(readers).advance(rng.randint(1, 9))
    assert len(decoded) == 120
    assert [reader.learner.snapshot() for reader in readers] == [alone.learner.snapshot()] * 2


async def test_who_is_further_back_than_what_is_kept_reads_for_itself(store: Store) -> None:
    await store.put_all([decision(f"d{number}") for number in range(20)])
    tail = LogTail(most=5)
    first, second = Reader(tail, store), Reader(tail, store)
    await second.rows(1)
    while await first.advance(3):
        pass
    assert first.position != second.position
    while await second.advance(3):
        pass
    assert second.learner.snapshot() == first.learner.snapshot()


async def test_an_event_wakes_all_who_wait_for_it(store: Store) -> None:
    first, second = (Reader(tail, store) for tail in [LogTail()] * 2)
    waiting = [asyncio.create_task(reader.rows(block_s=5.0)) for reader in (first, second)]
    await asyncio.sleep(0)
    await store.put(decision("d"))
    rows, others = await asyncio.gather(*waiting)
    assert rows == others != []


async def test_who_waits_is_not_held_up_by_one_who_gives_up_waiting(store: Store) -> None:
    first, second = (Reader(tail, store) for tail in [LogTail()] * 2)
    gives_up, waits = (asyncio.create_task(reader.rows(block_s=5.0)) for reader in (first, second))
    await asyncio.sleep(0)
    gives_up.cancel()
    assert await waits == []
    await store.put(decision("d"))
    assert await second.rows(block_s=5.0) != []


@pytest.mark.parametrize("by", ["read", "read_alone", "entries"])
async def test_what_the_log_has_lost_is_kept_for_nobody_whoever_finds_it_out(
    store: Store, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    tail = LogTail()
    first, second = Reader(tail, store), Reader(tail, store)
    await second.rows()
    await store.put(decision("d"))
    await first.advance()
    assert first.position != START
    await redis_client.delete(store.keys("log"))
    await _has_passed(redis_client, first.position)  # or the next event may have the place of the one that is lost
    await store.put(decision("e"))
    if by == "entries":
        monkeypatch.setattr(Store, "records", _unavailable)
        with pytest.raises(StoreUnavailable):
            await tail.entries(store, [("9-0", encode(outcome("f")), False)])
    elif by == "read_alone":
        with pytest.raises(LogTruncated):
            await tail.read_alone(store, first.position, count=9, block_s=0.0, anchored=True)
    else:
        with pytest.raises(LogTruncated):
            await first.rows(anchored=True)
    assert [decode(data).id for _, data, _ in await second.rows()] == ["e"]  # type: ignore[union-attr]


async def _has_passed(redis_client: aioredis.Redis, position: EventId) -> None:
    """Wait until Redis' clock shows another millisecond than the one that an event has its place by."""
    now_ms = 0
    while now_ms <= sort_key(position)[0]:
        seconds, microseconds = await redis_client.time()
        now_ms = seconds * 1000 + microseconds // 1000
