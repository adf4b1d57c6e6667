"""One, two and four learners on the same events, killed on the way: what they come to is the same, bit by bit."""

import asyncio
import random
import time
from itertools import islice

import numpy as np
import pytest
import yaml

from highwayman.feedback.log.store import Written
from highwayman.serving.state.learner_factory import LearnerFactory
from tests.faults.audit import Audited, audit_log
from tests.faults.clients import Memory
from tests.faults.events import events, put
from tests.faults.processes import WITHIN_S, Learner, World, all_ready, world

LEARNERS = (1, 2, 4)
EVENTS, KILLS, AT_ONCE = 3000, 2, 100


@pytest.mark.timeout(180)
async def test_what_is_learned_is_the_same_however_many_learners_there_are_and_whichever_are_killed() -> None:
    async with world() as here:
        some = list(islice(events("replicas", here.learning, at=time.time()), EVENTS))
        rng = random.Random("replicas")
        kill_at = sorted(rng.sample(range(1, EVENTS // AT_ONCE), KILLS))
        found = await asyncio.gather(*(learned(here, count, some, kill_at) for count in LEARNERS))
        for other in found[1:]:
            assert other.arrays.keys() == found[0].arrays.keys()
            for name, values in found[0].arrays.items():
                assert np.array_equal(values, other.arrays[name]), name
            assert other.tally == found[0].tally
        assert found[0].statements > EVENTS / 5


async def learned(here: World, count: int, some: list[Written], kill_at: list[int]) -> Audited:
    """Return what so many learners come to, in a namespace of their own, the holder killed after these batches."""
    config = here.folder / f"learners-{count}.yaml"
    config.write_text(yaml.safe_dump({"namespace": f"learners-{count}"}))
    learning = here.learning_in(config)
    learners = [here.learner(config=config) for _ in range(count)]
    await all_ready(*learners)
    killed: list[int] = []
    for number in range(0, len(some), AT_ONCE):
        batch = number // AT_ONCE
        holder = await holding(here, learning, learners, but=killed) if batch in kill_at else None
        await put(here, learning, some[number : number + AT_ONCE])
        if holder is not None:  # it folds just now
            await asyncio.sleep(0.02)
            killed.append(holder.pid)
            holder.kill()
            holder.start()
    await holding(here, learning, learners, but=killed)
    assert len(set(killed)) == len(kill_at)
    return await audit_log(here, learning, Memory())


async def holding(here: World, learning: LearnerFactory, learners: list[Learner], *, but: list[int]) -> Learner:
    """Return the learner that holds the lease, once one does that was not killed."""
    async with here.client() as client, asyncio.timeout(WITHIN_S):
        while True:
            holder = await learning.publications(client).holder()
            pid = int(holder.split(":")[-3]) if holder else 0
            for learner in learners:
                if pid not in but and learner.pid == pid:
                    return learner
            await asyncio.sleep(0.02)
