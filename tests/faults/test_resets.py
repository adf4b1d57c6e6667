"""Connections to Valkey reset at any byte, also between a write and its answer, which leaves open whether it was."""

import asyncio
import random

import pytest

from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import all_ready, world
from tests.faults.proxy import Act, Proxy, Resetting

UNDER_LOAD_S = 10.0


@pytest.mark.timeout(180)
async def test_events_are_on_the_log_once_though_nobody_knows_which_writes_were_carried_out() -> None:
    rng = random.Random("resets")
    async with world() as here, Proxy(here.valkey.socket) as proxy:
        routers = [here.router(url=proxy.url), here.router(url=proxy.url)]
        learner = here.learner(url=proxy.url)
        await all_ready(*routers, learner)
        await proxy.behave(lambda: Resetting(rng))
        async with Clients([router.url for router in routers], seed=4) as clients:
            await asyncio.sleep(UNDER_LOAD_S)
        resets = {act: count for act, count in proxy.counts.items() if act is not Act.PASS}
        await proxy.behave()
        found = await audit(here, clients.memory)
        assert found.statements == len(clients.memory.said) > 100, "all were acknowledged"
        assert min(resets[act] for act in (Act.DROP, Act.CUT, Act.SWALLOW)) >= 3, resets
        assert clients.memory.refused == clients.memory.broken == 0
