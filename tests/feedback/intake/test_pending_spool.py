"""Statements that wait on this machine's disk while Redis is away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from highwayman.env.errors import StoreUnavailable
from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.intake import pending_spool as pending_spool_module
from highwayman.feedback.intake.pending import PendingItem
from highwayman.feedback.intake.pending_retraction import PendingRetraction, unpack_retraction
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.log.writing.spool import Spool, claim_spools
from tests.feedback.intake.tenants import NOW, OURS, Clock
from tests.feedback.worlds import thumb


class Redis:
    """Stands in for what waits in Redis; only to be away at times."""

    def __init__(self) -> None:
        self.items: list[PendingItem] = []
        self.retracted: list[PendingRetraction] = []
        self.away, self.knows = False, True
        self.asked = asyncio.Event()

    async def add_all(self, items: Sequence[PendingItem]) -> None:
        self.asked.set()
        if self.away:
            raise StoreUnavailable("away")
        self.items += items

    async def retract(self, retraction: PendingRetraction) -> bool:
        self.retracted.append(retraction)
        self.asked.set()
        return self.knows

    @asynccontextmanager
    async def served(self, spools: Sequence[Spool], clock: Clock) -> AsyncIterator[PendingSpool]:
        """A spool that is handed on from here as long as the block lasts."""
        spool = PendingSpool(spools, self, clock)  # type: ignore[arg-type]  # what it calls of it
        running = asyncio.create_task(spool.run(self.retract))
        try:
            yield spool
        finally:
            await cancel_and_wait(running)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_spool_module, "_AGAIN_S", 0.01)


def said(name: str) -> PendingItem:
    return PendingItem(replace(thumb("", 1.0, feedback_id=name), at=NOW), ("r",))


async def emptied(spool: PendingSpool) -> None:
    async with asyncio.timeout(10):
        while len(spool):
            await asyncio.sleep(0.005)


def spools_of(folder: Path) -> list[Spool]:
    return claim_spools(folder, limit_bytes=1 << 20)


async def test_what_a_dead_process_left_beside_an_empty_spool_of_ones_own_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "0000.spool").touch()  # of a process that was killed, and had nothing to hand on
    (tmp_path / "0001.spool").touch()
    spools = claim_spools(tmp_path, limit_bytes=1 << 20)
    await PendingSpool(spools[1:], Redis(), Clock()).add_all([said("left")])  # type: ignore[arg-type]
    assert [len(spool) for spool in spools] == [0, 1]
    redis = Redis()
    async with redis.served(spools, Clock()) as found:
        assert len(found) == 1
        await emptied(found)
    assert [item.feedback.id for item in redis.items] == ["left"]


async def test_statements_are_handed_on_in_their_order_as_of_now_and_each_once(tmp_path: Path) -> None:
    redis, clock = Redis(), Clock()
    async with redis.served(spools_of(tmp_path), clock) as spool:
        clock.now = NOW + 100.0
        names = [f"s-{n}" for n in range(3)]
        await spool.add_all([said(name) for name in names])
        await emptied(spool)
        await spool.add_all([said("later")])
        await emptied(spool)
    assert [item.feedback.id for item in redis.items] == [*names, "later"]
    assert {item.held_at for item in redis.items} == {NOW + 100.0}
    assert {item.links for item in redis.items} == {("r",)}


async def test_what_redis_does_not_take_yet_waits_until_it_does(tmp_path: Path) -> None:
    redis = Redis()
    redis.away = True
    async with redis.served(spools_of(tmp_path), Clock()) as spool:
        await spool.add_all([said("s")])
        async with asyncio.timeout(10):
            await redis.asked.wait()
        assert len(spool) == 1
        redis.away = False
        await emptied(spool)
    assert [item.feedback.id for item in redis.items] == ["s"]


async def test_a_retraction_of_what_is_not_found_is_asked_again_and_keeps_since_when_it_could_have_been(
    tmp_path: Path,
) -> None:
    redis, clock = Redis(), Clock()
    redis.knows = False
    async with redis.served(spools_of(tmp_path), clock) as spool:
        await spool.add_retraction(PendingRetraction("f", OURS, "app", NOW - 5.0))
        async with asyncio.timeout(10):
            while len(redis.retracted) < 2:
                clock.now += 1.0
                await asyncio.sleep(0.005)
        redis.knows = True
        await emptied(spool)
    first, *later = redis.retracted
    assert (first.feedback_id, first.tenant, first.source, first.said_at) == ("f", OURS, "app", NOW - 5.0)
    assert first.held_at is not None
    assert set(later) == {first}


async def test_what_cannot_be_read_is_dropped_and_the_rest_is_handed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spools, redis = spools_of(tmp_path), Redis()
    spools[0].append([b"\xc1"])
    async with redis.served(spools, Clock()) as spool:
        await spool.add_all([said("s")])
        await emptied(spool)
    assert [item.feedback.id for item in redis.items] == ["s"]
    assert "cannot be read" in caplog.text


async def test_its_spools_are_free_for_another_process_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "0000.spool").touch()
    (tmp_path / "0001.spool").touch()

    def names() -> list[str]:
        spools = spools_of(tmp_path)
        for spool in spools:
            spool.close()
        return [spool.path.name for spool in spools]

    async with Redis().served(spools_of(tmp_path), Clock()):
        await asyncio.sleep(0)
        assert names() == ["0002.spool"]
    assert names() == ["0000.spool"]


def test_a_retraction_comes_back_as_it_was_and_nothing_else_is_taken_for_one() -> None:
    retraction = PendingRetraction("f", OURS, None, NOW, NOW + 1.0)
    assert unpack_retraction(retraction.pack()) == retraction
    assert unpack_retraction(b"\x90") is None
    assert unpack_retraction(b"\x96\xa5other\x01\x02\x03\x04\x05") is None


async def test_a_disk_that_takes_nothing_refuses_a_statement_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    spools = spools_of(tmp_path)
    spool = PendingSpool(spools, Redis(), Clock())  # type: ignore[arg-type]  # what it calls of it
    monkeypatch.setattr(spools[0], "sync", fail)
    with pytest.raises(StoreUnavailable, match=r"Redis is away, and the spool cannot be synced: Input/output error\."):
        await spool.add_all([said("s")])


async def test_a_full_spool_refuses_a_statement_and_keeps_what_it_has(tmp_path: Path) -> None:
    redis = Redis()
    redis.away = True
    spools = claim_spools(tmp_path, limit_bytes=1000)
    spool = PendingSpool(spools, redis, Clock())  # type: ignore[arg-type]  # what it calls of it

    async def fill() -> None:
        for number in range(100):
            await spool.add_all([said(f"s-{number}")])

    with pytest.raises(StoreUnavailable, match=r"^Redis is away, and .* Try again later\.$"):
        await fill()
    taken = len(spool)
    assert 0 < taken < 100
    with pytest.raises(StoreUnavailable):
        await spool.add_all([said("s")])
    assert len(spool) == taken
