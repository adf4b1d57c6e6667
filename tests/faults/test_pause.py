"""A Valkey that stands still, for HIGHWAYMAN_PAUSE_S seconds, under fifty users."""

import asyncio
import os
import time

import numpy as np
import pytest

from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import world

PAUSE_S = float(os.environ.get("HIGHWAYMAN_PAUSE_S", "8"))
USERS, EVERY_S = 50, 0.5
ADDED_S = 0.1


@pytest.mark.timeout(180 + 3 * PAUSE_S)
async def test_answers_and_feedback_go_on_while_valkey_stands_still_and_all_of_it_counts_later() -> None:
    async with world(slow_s=0.0) as here:
        router = here.router()
        await router.ready()
        async with Clients([router.url], seed=5, users=USERS, every_s=EVERY_S, speaking=0.4) as clients:
            await asyncio.sleep(2.0)  # connections are made, code is warm
            before = time.monotonic()
            await asyncio.sleep(PAUSE_S)
            begin = time.monotonic()
            async with here.client() as client:
                await client.execute_command("CLIENT", "PAUSE", int(PAUSE_S * 1000), "ALL")
            await asyncio.sleep(PAUSE_S / 2)
            assert (await router.get("/readyz"))["degraded"]
            await asyncio.sleep(begin + PAUSE_S - time.monotonic())
            end = time.monotonic()
            await router.until(degraded=False, spooled_events=0)
        memory = clients.memory
        found = await audit(here, memory)
        usual, paused = memory.answered_between(before, begin), memory.answered_between(begin, end)
        p99 = [float(np.quantile(waits, 0.99)) for waits in (usual, paused)]
        print(f"\n{PAUSE_S:g} s: p99 {p99[0] * 1e3:.1f} ms before, {p99[1] * 1e3:.1f} ms in the pause; longest "
              f"{max(usual) * 1e3:.1f} and {max(paused) * 1e3:.1f} ms; answers {len(usual)} and {len(paused)}; "
              f"{found.statements} statements")  # fmt: skip
        assert memory.refused == memory.broken == 0
        assert min(len(usual), len(paused)) > USERS * PAUSE_S, "all went on asking"
        assert p99[1] - p99[0] < ADDED_S
        said = [one for one in memory.said.values() if begin + 0.2 < one.at < end - 0.2]
        spooled = await router.counted("highwayman_degraded_events_total", event="feedback", fate="spooled")
        assert spooled >= len(said) > USERS
        assert spooled == await router.counted("highwayman_degraded_events_total", event="feedback", fate="drained")
        assert await router.counted("highwayman_degraded_events_total", event="decision", fate="lost") == 0
