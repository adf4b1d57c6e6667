"""A Valkey that loses the end of what it had acknowledged, as a machine does whose power fails between two syncs."""

import asyncio
import random
import time

import pytest

from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import Router, World, all_ready, world

ROUNDS = 6
UNSYNCED_S = 1.0  # of `appendfsync everysec`


@pytest.mark.timeout(240)
async def test_what_valkey_lost_is_sent_again_by_the_routers_that_live() -> None:
    rng = random.Random("power cuts")
    async with world() as here:
        routers, learner = [here.router(), here.router("--no-learn")], here.learner()
        await all_ready(*routers, learner)
        async with Clients([router.url for router in routers], seed=2) as clients:
            for _ in range(ROUNDS):
                await asyncio.sleep(0.5 + rng.random())
                await power_cut(here, rng, after_s=rng.random() * UNSYNCED_S)
                await asyncio.sleep(rng.choice((0.0, 0.3)))
                here.valkey.start()
                await here.valkey.ready()
            await clients.rest()
        found = await audit(here, clients.memory)
        assert found.statements >= len(clients.memory.said) > ROUNDS
        assert await sent_again(routers) > 0


@pytest.mark.timeout(120)
async def test_also_by_a_router_that_has_nothing_more_to_write() -> None:
    async with world() as here:
        router, _ = here.router("--no-learn"), here.learner()
        await all_ready(*here.processes)
        async with Clients([router.url], seed=3) as clients:
            await asyncio.sleep(0.5)
            size = here.valkey.append_only_file().stat().st_size
            await asyncio.sleep(0.5)
            await clients.rest()
        here.valkey.kill()
        cut(here, size)
        here.valkey.start()
        await here.valkey.ready()
        await audit(here, clients.memory)
        assert await sent_again([router]) > 0


async def power_cut(here: World, rng: random.Random, *, after_s: float) -> None:
    """Kill the Valkey, and cut off what it has written in the last `after_s` seconds, or some of it."""
    file = here.valkey.append_only_file()
    size, began = file.stat().st_size, time.monotonic()
    while time.monotonic() - began < after_s:
        await asyncio.sleep(0.01)
    here.valkey.kill()
    cut(here, rng.randint(size, file.stat().st_size))


def cut(here: World, size: int) -> None:
    with here.valkey.append_only_file().open("r+b") as file:
        file.truncate(size)


async def sent_again(routers: list[Router]) -> float:
    return sum([await router.counted("highwayman_degraded_events_total", fate="sent_again") for router in routers])
