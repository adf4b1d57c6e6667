import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
import redis.asyncio as aioredis

from highwayman.bandit.drift.change_monitor import ChangeMonitors
from highwayman.bandit.snapshot import unpack
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Control, ControlKind
from highwayman.feedback.fold.learner import Snapshot
from highwayman.feedback.fold.log_fold import fold_log, snapshot_difference
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.learning.publications import NO_VERSION, Publications, lineage
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.learning.worker import Clocks, Worker
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import decode
from highwayman.feedback.log.store import Keys, Store, Written
from highwayman.feedback.log.upkeep.retention import Retention
from tests.feedback.worlds import decision, make_learner, outcome, thumb


class World:
    """A store, its publications, and workers over them."""

    def __init__(self, client: aioredis.Redis, namespace: str) -> None:
        self.store = Store(client, namespace)
        self.publications = Publications(client, namespace, "test")
        self.versions = VersionHistory(client, namespace, "test")
        self.retention = Retention(client, namespace, window_s=3600)
        self.client, self.namespace = client, namespace

    def worker(self, holder: str) -> Worker:
        clocks = Clocks(time.time, time.monotonic)
        parts = LearnerDependencies(self.store, self.publications, self.versions, make_learner)
        return Worker(parts, holder=holder, clocks=clocks)

    async def turn(self, holder: str) -> LearnerSession:
        """A turn begun under a lease taken from whoever had it."""
        await self.client.delete(Keys(self.namespace)("lease", "test"))
        epoch = await self.publications.acquire(holder, hold_s=5)
        assert epoch is not None
        parts = LearnerDependencies(self.store, self.publications, self.versions, make_learner)
        turn = LearnerSession(parts, holder=holder, epoch=epoch, wall=time.time)
        await turn.start()
        return turn

    async def published_at(self, position: str) -> Snapshot:
        """The first publication whose position is `position`."""
        async with asyncio.timeout(10):
            while True:
                published = await self.publications.load()
                if published is not None and published.snapshot.position == position:
                    return published.snapshot
                async for _ in self.publications.announcements():
                    break


@pytest.fixture
def world(redis_client: aioredis.Redis, namespace: str) -> World:
    return World(redis_client, namespace)


async def test_what_is_published_is_the_fold_of_the_log(world: World) -> None:
    running = asyncio.create_task(world.worker("one").run())
    await world.store.put(decision("d"))
    await world.store.put(outcome("d"))
    last = await world.store.put(thumb("d", 1.0))
    snapshot = await world.published_at(last)
    await cancel_and_wait(running)
    sums = unpack(snapshot.policy)[1]["sums"]
    assert sums.tolist() == [[1.0, 1.0], [0.0, 0.0]]


async def test_counts_are_published_about_once_a_second_and_what_was_learned_at_once(world: World) -> None:
    running = asyncio.create_task(world.worker("one").run())
    await world.published_at(await world.store.put(decision("first")))
    before, began = await world.publications.stamp(), time.monotonic()
    for number in range(8):
        await world.store.put(decision(f"d{number}"))
        await asyncio.sleep(0.05)
    counted = (await world.publications.stamp()).version - before.version
    assert counted <= 1 + (time.monotonic() - began)
    last = await world.store.put(thumb("d0", 1.0))
    snapshot = await world.published_at(last)
    await cancel_and_wait(running)
    assert unpack(snapshot.policy)[1]["sums"].tolist() == [[1.0, 1.0], [0.0, 0.0]]


async def test_a_successor_goes_on_from_the_publication_and_counts_nothing_twice(world: World) -> None:
    first = asyncio.create_task(world.worker("one").run())
    await world.store.put(decision("d"))
    await world.published_at(await world.store.put(thumb("d", 1.0)))
    await cancel_and_wait(first)
    last = await world.store.put(thumb("d", 0.0))
    second = asyncio.create_task(world.worker("two").run())
    snapshot = await world.published_at(last)
    await cancel_and_wait(second)
    assert unpack(snapshot.policy)[1]["sums"].tolist() == [[1.0, 0.0], [0.0, 0.0]]


async def test_an_unreadable_event_is_a_dead_letter_and_the_rest_is_learned(world: World) -> None:
    await world.store.put(decision("d"))
    await world.client.xadd(Keys(world.namespace)("log"), {"e": b"rubbish"})
    last = await world.store.put(thumb("d", 1.0))
    running = asyncio.create_task(world.worker("one").run())
    snapshot = await world.published_at(last)
    await cancel_and_wait(running)
    assert np.isclose(unpack(snapshot.policy)[1]["sums"][0, 0], 1.0)
    assert await world.client.xlen(Keys(world.namespace)("dead")) == 1


async def test_only_one_of_two_learners_holds_the_lease(world: World) -> None:
    assert await world.publications.acquire("one", hold_s=5) == "1"
    assert await world.publications.acquire("two", hold_s=5) is None
    assert await world.publications.acquire("one", hold_s=5) == "1"


async def test_a_learner_that_lost_its_lease_cannot_publish(world: World) -> None:
    old = await world.publications.acquire("one", hold_s=5)
    await world.publications.release("one")
    new = await world.publications.acquire("two", hold_s=5)
    snapshot = make_learner().snapshot()
    assert old is not None
    assert new is not None
    assert await world.publications.publish(snapshot, epoch=old, holder="one", at=1.0) is None
    assert await world.publications.stamp() == NO_VERSION
    assert await world.publications.publish(snapshot, epoch=new, holder="two", at=1.0) == 1


async def test_a_damaged_publication_is_learned_again_from_the_log(world: World) -> None:
    first = asyncio.create_task(world.worker("one").run())
    await world.store.put(decision("d"))
    last = await world.store.put(thumb("d", 1.0))
    await world.published_at(last)
    await cancel_and_wait(first)
    await world.client.hset(Keys(world.namespace)("policy", "test"), "policy", b"rubbish")
    later = await world.store.put(thumb("d", 1.0, source="grader"))
    second = asyncio.create_task(world.worker("two").run())
    snapshot = await world.published_at(later)
    await cancel_and_wait(second)
    assert unpack(snapshot.policy)[1]["sums"].tolist() == [[2.0, 2.0], [0.0, 0.0]]


async def test_what_is_published_stays_until_a_refold_has_come_as_far(world: World) -> None:
    await world.store.put_all([decision("d"), *(thumb("d", 1.0, source=f"s{k}") for k in range(8))])
    turn = await world.turn("one")
    await turn.advance(count=100, block_s=0)
    assert await turn.publish()
    await world.client.hset(Keys(world.namespace)("policy", "test"), "policy", b"rubbish")
    await world.versions.drop([about.version for about in await world.versions.all()])
    again = await world.turn("two")
    for _ in range(4):
        await again.advance(count=2, block_s=0)
        assert not again.has_unpublished, "routers keep what they have"
    await again.advance(count=2, block_s=0)
    assert again.has_unpublished
    assert await again.publish()
    published = await world.publications.load()
    assert published is not None
    assert unpack(published.snapshot.policy)[1]["sums"].tolist() == [[8.0, 8.0], [0.0, 0.0]]


async def test_events_that_make_no_sense_are_dead_letters_and_learning_goes_on(world: World) -> None:
    senseless = [
        Control(1.0, ControlKind.ROLLBACK, {"position": "somewhere"}),
        Control(1.0, ControlKind.ROLLBACK, {}),
        Control(1.0, ControlKind.ARM_ADDED, {}),
    ]
    for event in senseless:
        await world.store.append(event)
    await world.store.put_all([decision("d"), thumb("d", 1.0)])
    turn = await world.turn("one")
    await turn.advance(count=100, block_s=0)
    assert turn.learner.tally.totals().feedback == 1
    assert await world.client.xlen(Keys(world.namespace)("dead")) == len(senseless)


async def test_only_who_holds_the_lease_gives_it_up(world: World) -> None:
    await world.publications.acquire("one", hold_s=5)
    await world.publications.release("two")
    assert await world.publications.holder() == "one"
    await world.publications.release("one")
    assert await world.publications.holder() is None


def test_another_policy_encoder_or_option_is_another_lineage() -> None:
    names = {
        lineage("p", {}, "e", 1),
        lineage("q", {}, "e", 1),
        lineage("p", {"x": 1}, "e", 1),
        lineage("p", {}, "f", 1),
    }
    assert len(names) == 4


async def test_an_arm_whose_answers_change_is_noticed_on_the_log_once_and_doubted_by_whoever_folds_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    turn = await world.turn("one")
    turn._change_monitors = ChangeMonitors(1_000.0)
    events: list[Written] = []
    for n in range(240):
        name = f"d{n}"
        made = replace(decision(name), at=1_700_000_000.0 + n)
        events += [made, thumb(name, 1.0 if n < 160 else 0.0)]
    await world.store.put_all(events)
    while await turn.advance(count=100, block_s=0.0):
        pass
    found = [decode(data) async for page in world.retention.scan(START) for _, data, _ in page]
    noticed = [event for event in found if isinstance(event, Control)]
    assert [event.kind for event in noticed] == [ControlKind.CHANGE_NOTICED]
    assert noticed[0].detail["arm"] == "a"
    assert not noticed[0].detail["better"]
    assert "the answers of a have changed" in caplog.text
    assert unpack(turn.learner.snapshot().policy)[1]["sums"][0, 0] < 60
    again = await fold_log(lambda: world.retention.scan(START), make_learner, kept_s=3600)
    assert snapshot_difference(turn.learner.snapshot(), again.learner.snapshot()).largest <= 1e-9


@pytest.mark.parametrize("restart", [False, True])
async def test_dollars_of_two_tenants_are_published_on_an_account_of_each(world: World, *, restart: bool) -> None:
    turn = await world.turn("one")
    await world.store.put_all([replace(decision("d"), tenant="acme"), replace(decision("e"), tenant="bee")])
    await turn.advance(count=100, block_s=0)
    assert await turn.publish()
    if restart:  # whoever goes on has not read the decisions
        turn = await world.turn("two")
    await world.store.put_all([outcome("d", cost_usd=0.5), outcome("e", cost_usd=0.25)])
    await turn.advance(count=100, block_s=0)
    assert await turn.publish()
    published = await world.publications.load()
    assert published is not None
    tally = Tally.from_json(published.snapshot.tally)
    spent = {tenant: [day.usd for day in tally.spent(tenant).values()] for tenant in ("acme", "bee", "default")}
    assert spent == {"acme": [0.5], "bee": [0.25], "default": []}
    whole = await fold_log(lambda: world.retention.scan(START), make_learner, kept_s=3600)
    assert snapshot_difference(published.snapshot, whole.learner.snapshot()).tally == 0.0
