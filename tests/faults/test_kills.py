"""Routers, a learner and Valkey, killed again and again under load: HIGHWAYMAN_KILL_ROUNDS times for each mode."""

import asyncio
import os
import random

import pytest

from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import Process, all_ready, world

ROUNDS = int(os.environ.get("HIGHWAYMAN_KILL_ROUNDS", "12"))
AUDITED_EVERY = 10


@pytest.mark.timeout(180 + 20 * ROUNDS)
@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
async def test_whatever_is_killed_all_that_was_acknowledged_counts_exactly_once(appendfsync: str) -> None:
    rng = random.Random(f"kills/{appendfsync}")
    async with world(appendfsync=appendfsync) as here:
        routers, learner = [here.router(), here.router()], here.learner()
        await all_ready(*routers, learner)
        async with Clients([router.url for router in routers], seed=1) as clients:
            for number in range(1, ROUNDS + 1):
                await asyncio.sleep(rng.random())
                await kill_and_restart(rng.choice(here.processes), rng)
                if number % AUDITED_EVERY == 0:
                    await clients.rest()
                    await all_ready(*here.processes)
                    await audit(here, clients.memory, finished=False)
                    clients.go_on()
            await clients.rest()
        await all_ready(*here.processes)
        found = await audit(here, clients.memory)
        starts = {process.name: process.starts for process in here.processes}
        memory = clients.memory
        print(f"\n{appendfsync}: {ROUNDS} rounds, starts {starts}; {len(memory.begun)} answers, {len(memory.said)} "
              f"statements acknowledged, {memory.refused} refused, {memory.broken} connections broken; log: "
              f"{found.events} events, {found.lost_outcomes} calls lost; apart by {found.apart:.2g}")  # fmt: skip
        assert found.statements >= len(memory.said) > ROUNDS


async def kill_and_restart(victim: Process, rng: random.Random) -> None:
    """Kill it, leave it dead for a moment, start it; now and then it is not waited for, and may be killed starting."""
    victim.kill()
    await asyncio.sleep(rng.choice((0.0, 0.0, rng.random() / 2)))
    victim.start()
    if rng.random() < 0.8:
        await victim.ready()
