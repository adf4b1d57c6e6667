"""The journal against a real Valkey that stalls, dies, comes back, or comes back with the end of its log missing."""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback, StoreUnavailable, UnknownDecision
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Feedback
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import Event, decode, encode
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.log.writing.journal import DeliveryOutcome, Journal
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from tests.feedback.worlds import decision, outcome, thumb

WITHIN_S = 20.0


class World:
    """A Valkey of its own, a store in it, and a journal over a spool folder."""

    def __init__(self, folder: Path, *, limit_bytes: int = 1 << 20) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.valkey = EmbeddedValkey(folder / "valkey")
        self.fates: Counter[tuple[DeliveryOutcome, str]] = Counter()

    @asynccontextmanager
    async def journal(self, *, patience_s: float = 0.2) -> AsyncIterator[Journal]:
        client = connect(self.valkey.url)
        spools = claim_spools(self.folder / "spools", limit_bytes=self.limit_bytes)
        journal = Journal(
            Store(client, "test"),
            spools,
            writer="me",
            clock=time.monotonic,
            patience_s=patience_s,
            on_delivery_outcome=lambda fate, kind: self.fates.update([(fate, kind)]),
        )
        running = asyncio.create_task(journal.run())
        try:
            yield journal
        finally:
            await cancel_and_wait(running)
            await client.aclose()

    async def log(self) -> list[Event]:
        client = connect(self.valkey.url)
        try:
            return [decode(data) for _, data, _ in await Store(client, "test").read(START, count=9999, block_s=0.01)]
        finally:
            await client.aclose()

    async def erase(self, name: str) -> None:
        client = connect(self.valkey.url)
        await Retention(client, "test", window_s=60).put_erasure(name, feedback=[], known=[], at=1.0)
        await client.aclose()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    found = World(tmp_path)
    await found.valkey.start()
    yield found
    await found.valkey.stop()


async def back(journal: Journal) -> None:
    async with asyncio.timeout(WITHIN_S):
        while journal.degraded:
            await asyncio.sleep(0.01)


def brief(events: list[Event]) -> list[str]:
    return [getattr(event, "decision_id", None) or event.id for event in events]  # type: ignore[union-attr]


async def test_events_put_together_are_on_the_log_in_order(world: World) -> None:
    async with world.journal() as journal:
        ids = await asyncio.gather(*(journal.put(decision(f"d{k}")) for k in range(600)))
    assert all(ids)
    assert brief(await world.log()) == [f"d{k}" for k in range(600)]
    assert not world.fates


async def test_an_event_for_which_nobody_waits_goes_with_the_next_one_in_one_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[list[Event]] = []
    put_marked = Store.put_marked

    async def counting(store: Store, events: Any, **more: Any) -> Any:
        writes.append(list(events))
        return await put_marked(store, events, **more)

    monkeypatch.setattr(Store, "put_marked", counting)
    async with world.journal() as journal:
        await journal.put(decision("a"))
        told = journal.submit(outcome("a"), may_wait=True)
        await journal.put(decision("b"))
        assert told.done()
        alone = journal.submit(outcome("b"), may_wait=True)
        async with asyncio.timeout(WITHIN_S):
            assert await alone is not None  # no other comes: then it goes by itself
    assert [len(events) for events in writes] == [1, 2, 1]
    assert brief(await world.log()) == ["a", "a", "b", "b"]


async def test_what_waits_for_company_is_written_when_the_journal_ends(world: World) -> None:
    async with world.journal() as journal:
        await journal.put(decision("a"))
        journal.submit(outcome("a"), may_wait=True)
    assert brief(await world.log()) == ["a", "a"]


async def test_while_redis_is_down_events_wait_in_order_and_are_drained_when_it_is_back(world: World) -> None:
    async with world.journal() as journal:
        await journal.put(decision("before"))
        await world.valkey.stop()
        assert await journal.put(decision("during")) is None
        assert await journal.put(outcome("during")) is None
        assert await journal.put(thumb("before", 1.0)) is None
        assert (journal.degraded, journal.waiting) == (True, 3)
        await world.valkey.start()
        await back(journal)
        assert await journal.put(decision("after"))
    assert brief(await world.log()) == ["before", "during", "during", "before", "after"]
    assert world.fates[DeliveryOutcome.SPOOLED, "f"] == world.fates[DeliveryOutcome.DRAINED, "f"] == 1


async def test_what_waits_when_the_process_ends_is_drained_by_the_next_one(world: World) -> None:
    async with world.journal() as journal:
        await world.valkey.stop()
        await journal.put(decision("d"))
        await journal.put(thumb("d", 1.0))
    await world.valkey.start()
    async with world.journal() as journal:
        assert journal.degraded
        await back(journal)
    assert brief(await world.log()) == ["d", "d"]


@pytest.mark.parametrize("waiting", [0, 1, 2])
async def test_a_journal_begins_with_the_spool_if_anything_waits_there(waiting: int, tmp_path: Path) -> None:
    (spool,) = claim_spools(tmp_path, limit_bytes=1 << 20)
    spool.append([encode(decision(str(number))) for number in range(waiting)])
    client = connect("redis://127.0.0.1:1")
    journal = Journal(
        Store(client, "test"), [spool], writer="me", clock=time.monotonic, patience_s=0.2,
        on_delivery_outcome=lambda fate, kind: None,
    )  # fmt: skip
    assert journal.degraded is (waiting > 0)
    spool.close()
    await client.aclose()


async def test_a_server_that_stalls_delays_an_event_by_the_patience_and_gets_it_once(world: World) -> None:
    async with world.journal(patience_s=0.25) as journal:
        await journal.put(decision("first"))
        client = connect(world.valkey.url)
        await client.execute_command("CLIENT", "PAUSE", 1500, "ALL")
        began = time.monotonic()
        waits = []
        for k in range(20):
            at = time.monotonic()
            await journal.put(decision(f"d{k}"))
            waits.append(time.monotonic() - at)
        assert time.monotonic() - began < 1.4, "all of them came while the server stood still"
        assert sorted(waits)[-2] < 0.25, "only the first one waits"
        await back(journal)
        await client.aclose()
    assert sorted(brief(await world.log())) == sorted(["first", *(f"d{k}" for k in range(20))])


async def test_a_server_that_lost_the_end_of_its_log_gets_it_again(world: World) -> None:
    """A copy of the append-only file, put back, is a server killed between two syncs."""
    async with world.journal() as journal:
        await journal.put(decision("kept"))
        kept = snapshot_of(world.folder / "valkey")
        await journal.put(decision("lost"))
        await journal.put(thumb("lost", 1.0))
        await world.valkey.stop()
        for path, content in kept.items():
            path.write_bytes(content)
        await world.valkey.start()
        await journal.put(decision("after"))
        await back(journal)
    log = await world.log()
    assert Counter(map(str, brief(log))) == {"kept": 1, "lost": 2, "after": 1}
    assert sum(isinstance(event, Feedback) for event in log) == 1
    assert world.fates[DeliveryOutcome.SENT_AGAIN, "f"] == 1


async def test_a_full_spool_refuses_feedback_and_lets_answers_go_on(world: World) -> None:
    world.limit_bytes = 700
    async with world.journal() as journal:
        await world.valkey.stop()
        for k in range(5):
            assert await journal.put(decision(f"d{k}")) is None
        taken = journal.waiting
        assert 0 < taken < 5
        said = await asyncio.gather(*(journal.put(thumb("d0", 1.0)) for _ in range(20)), return_exceptions=True)
        assert said.count(None) + taken == journal.waiting
        refused = [one for one in said if one is not None]
        assert refused
        assert all(isinstance(one, StoreUnavailable) and "spool" in str(one) for one in refused)
        await world.valkey.start()
        await back(journal)
    assert world.fates[DeliveryOutcome.LOST, "d"] == 5 - taken
    assert (
        len(await world.log()) == world.fates[DeliveryOutcome.DRAINED, "d"] + world.fates[DeliveryOutcome.DRAINED, "f"]
    )


async def test_a_journal_that_fails_spools_what_waited_and_leaves_nobody_waiting(world: World) -> None:
    """The fault is ours, and provoked: a store that raises what no Redis does."""

    class Faulty(Store):
        async def put_marked(self, *_: Any, **__: Any) -> Any:
            raise ArithmeticError("a fault of ours")

    client = connect(world.valkey.url)
    (spool,) = claim_spools(world.folder / "spools", limit_bytes=1 << 20)
    journal = Journal(
        Faulty(client, "test"), [spool], writer="me", clock=time.monotonic, patience_s=0.2,
        on_delivery_outcome=lambda fate, kind: world.fates.update([(fate, kind)]),
    )  # fmt: skip
    running = asyncio.create_task(journal.run())
    async with asyncio.timeout(WITHIN_S):
        assert await asyncio.gather(journal.put(decision("d")), journal.put(thumb("d", 1.0))) == [None, None]
        with pytest.raises(ArithmeticError):
            await running
        assert await journal.put(decision("late")) is None
        with pytest.raises(StoreUnavailable, match="about to end"):
            await journal.put(thumb("d", 0.0))
    await client.aclose()
    assert world.fates == {
        (DeliveryOutcome.SPOOLED, "d"): 1,
        (DeliveryOutcome.SPOOLED, "f"): 1,
        (DeliveryOutcome.LOST, "d"): 1,
    }
    async with world.journal() as heir:
        await back(heir)
    assert brief(await world.log()) == ["d", "d"]


@pytest.mark.parametrize(
    "bad",
    [
        replace(outcome("d1"), tokens_out=2**70),
        replace(outcome("d1"), cost_usd=math.nan),
        replace(outcome("d1"), finish_reason="\ud800"),
        replace(decision("d1"), prompt="secret \udfff"),
    ],
)
async def test_an_event_that_cannot_be_written_is_set_aside_and_its_neighbours_are_written(
    world: World, bad: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.journal() as journal:
        await journal.put(decision("d0"))
        with caplog.at_level(logging.WARNING):
            ids = await asyncio.gather(*(journal.put(event) for event in (decision("a"), bad, decision("b"))))
        assert (ids[1], bool(ids[0]), bool(ids[2])) == (None, True, True)
        assert await journal.put(decision("after")), "the journal goes on"
        assert not journal.degraded
    assert brief(await world.log()) == ["d0", "a", "b", "after"]
    assert sum(world.fates.values()) == 1
    assert {fate for fate, _ in world.fates} == {DeliveryOutcome.SET_ASIDE}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert not any(word in caplog.text for word in ("secret", "1180591620717411303424"))


async def test_feedback_that_cannot_be_written_is_refused_to_its_sender(world: World) -> None:
    async with world.journal() as journal:
        await journal.put(decision("d"))
        statements = [thumb("d", 1.0), replace(thumb("d", 1.0), text="\ud800"), thumb("d", math.inf), thumb("d", 0.0)]
        answers = await asyncio.gather(*map(journal.put, statements), return_exceptions=True)
    assert [isinstance(answer, InvalidFeedback) for answer in answers] == [False, True, True, False]
    assert len(await world.log()) == 3


async def test_an_event_that_cannot_be_written_never_keeps_the_spool_from_its_neighbours(world: World) -> None:
    async with world.journal() as journal:
        await world.valkey.stop()
        events = decision("d"), replace(outcome("d"), tokens_in=2**70), outcome("d")
        assert [await journal.put(event) for event in events] == [None, None, None]
        assert journal.waiting == 2
        await world.valkey.start()
        await back(journal)
    assert brief(await world.log()) == ["d", "d"]
    assert world.fates[DeliveryOutcome.SET_ASIDE, "o"] == 1


async def test_an_erased_decision_takes_nothing_more(world: World) -> None:
    async with world.journal() as journal:
        await journal.put(decision("d"))
        await world.erase("d")
        with pytest.raises(UnknownDecision):
            await journal.put(thumb("d", 1.0))
        assert await journal.put(outcome("d")) is None
    assert len(await world.log()) == 2


def snapshot_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (folder / "appendonlydir").iterdir()}
