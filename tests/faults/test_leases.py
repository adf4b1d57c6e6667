"""Learners that stand by for one lease: dead, stopped, or slow, the one that had it publishes nothing more."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from itertools import groupby

import pytest

from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.learning.publications import NO_VERSION, Publications, VersionStamp
from tests.faults.audit import audit
from tests.faults.events import flowing
from tests.faults.processes import WITHIN_S, Learner, World, all_ready, world
from tests.faults.proxy import Holding, Honest, Proxy

HOLD_S = 5.0  # the lease of a learner that says nothing more runs out
HANDED_OVER_S = HOLD_S + 2.0  # those that stand by look every half second; this machine may be busy


class Watch:
    """Every version published, in order, and who published it."""

    def __init__(self, publications: Publications) -> None:
        self._publications = publications
        self.seen: list[VersionStamp] = []

    @property
    def pids(self) -> list[int]:
        """Who published, one after the other."""
        return [pid for pid, _ in groupby(publisher(stamp) for stamp in self.seen)]

    async def by(self, *learners: Learner) -> Learner:
        """Return the first of the learners to publish from now on."""
        begin, pids = len(self.seen), {learner.pid: learner for learner in learners}
        async with asyncio.timeout(WITHIN_S):
            while True:
                for stamp in self.seen[begin:]:
                    if publisher(stamp) in pids:
                        return pids[publisher(stamp)]
                await asyncio.sleep(0.01)

    async def look(self) -> None:
        while True:
            stamp = await self._publications.stamp()
            if stamp != NO_VERSION and (not self.seen or self.seen[-1] != stamp):
                self.seen.append(stamp)
            await asyncio.sleep(0.01)


def publisher(stamp: VersionStamp) -> int:
    """The process that published it: a lease's holder is host:pid:token:token."""
    return int(stamp.holder.split(":")[-3])


@asynccontextmanager
async def watching(here: World) -> AsyncIterator[Watch]:
    async with here.client() as client:
        watch = Watch(here.learning.publications(client))
        task = asyncio.create_task(watch.look())
        try:
            yield watch
            assert not task.done()
        finally:
            await cancel_and_wait(task)


@pytest.mark.timeout(120)
async def test_of_three_learners_one_publishes_and_when_it_is_killed_another_takes_over_in_six_seconds() -> None:
    async with world() as here:
        learners = [here.learner() for _ in range(3)]
        await all_ready(*learners)
        async with watching(here) as watch, flowing(here, "three"):
            first = await watch.by(*learners)
            await asyncio.sleep(1.0)
            assert watch.pids == [first.pid]
            first.kill()
            killed_at = time.monotonic()
            second = await watch.by(*(learner for learner in learners if learner is not first))
            assert HOLD_S / 2 < time.monotonic() - killed_at < HANDED_OVER_S
            await asyncio.sleep(1.0)
            pid = first.pid
            await second.end()
            ended_at = time.monotonic()
            (last,) = (learner for learner in learners if learner not in (first, second))
            assert await watch.by(last) is last
            assert time.monotonic() - ended_at < HOLD_S / 2, "who ends in order gives the lease up"
            assert watch.pids == [pid, second.pid, last.pid]
        here.learners.remove(first)
        await audit(here)


@pytest.mark.timeout(120)
async def test_a_holder_that_was_stopped_publishes_nothing_when_it_goes_on() -> None:
    async with world() as here:
        learners = [here.learner() for _ in range(2)]
        await all_ready(*learners)
        async with watching(here) as watch, flowing(here, "stopped"):
            stopped = await watch.by(*learners)
            await asyncio.sleep(0.5)
            stopped.stop()
            (other,) = (learner for learner in learners if learner is not stopped)
            assert await watch.by(other) is other
            stopped.go_on()
            await asyncio.sleep(2.0)  # more than it needs to publish what it had folded
            assert watch.pids == [stopped.pid, other.pid]
        assert stopped.running
        await audit(here)


@pytest.mark.timeout(120)
async def test_a_publication_that_arrives_after_another_took_over_is_refused() -> None:
    publish = resources.files("highwayman.feedback.log.redis").joinpath("publish.lua").read_text()
    words = hashlib.sha1(publish.encode(), usedforsecurity=False).hexdigest().encode()
    async with world() as here, Proxy(here.valkey.socket) as proxy:
        slow = here.learner(url=proxy.url)
        await slow.ready()
        async with watching(here) as watch, flowing(here, "late"):
            assert await watch.by(slow) is slow
            hold = Holding(words, here.learning.lineage.encode())  # challengers publish, too, of lineages of their own
            await proxy.behave(lambda: hold)
            async with asyncio.timeout(WITHIN_S):
                await hold.held.wait()
            other = here.learner()
            assert await watch.by(other) is other
            hold.release.set()
            async with asyncio.timeout(WITHIN_S):
                while not hold.answers:
                    await asyncio.sleep(0.01)
            assert hold.answers[0] in (b"$-1\r\n", b"_\r\n"), "nothing was published"
            await asyncio.sleep(1.0)
            assert watch.pids == [slow.pid, other.pid]
        await proxy.behave(Honest)
        await audit(here)
