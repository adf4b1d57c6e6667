"""A router keeps nothing of requests that are over, answered or not, nor of clients that left.

`python -m benchmarks.leaks` asks 30,000 times, of a router in a process of its own, and looks at memory, too.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.leftovers import comes_back_to, held_at_rest
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import BreakOff, Fail, Garbage, HangUp, Say, ScriptedUpstream, Stall

FAILING = {"refuses": Fail(500), "hangs_up": HangUp(), "html": Garbage(), "breaks": BreakOff()}


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        for name, failure in FAILING.items():
            server.script(f"{name}-upstream", failure)
        server.script("stalls-upstream", Stall(Say("One two three."), events=3))
        yield server


@pytest.fixture
async def router(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    arms = [arm(name, upstream.url) for name in (*FAILING, "well", "stalls")]
    async with running_router(arms, valkey_url, namespace) as running:
        yield running


async def answered(router: Router, count: int) -> None:
    """Ask one after another of every arm but that which stalls."""
    for number in range(count):
        model = [*FAILING, "well", "well"][number % 6]
        body = ask(f"Question {number}", model=model, stream=number % 4 == 0)
        async with router.http.post("/v1/chat/completions", json=body) as response:
            await response.read()


async def left(router: Router, count: int) -> None:
    """Go when a stream has begun, or just after having asked for one."""
    for number in range(count):
        request = router.http.post("/v1/chat/completions", json=ask(f"Story {number}", model="stalls", stream=True))
        if number % 2:
            async with request as response:
                await response.content.readany()
                response.close()
        else:
            asking = asyncio.ensure_future(request)
            await asyncio.sleep(0)
            asking.cancel()


async def test_descriptors_and_tasks_are_where_they_were_after_requests_and_after_clients_that_left(
    router: Router, upstream: ScriptedUpstream
) -> None:
    await left(router, 4)
    await answered(router, 24)
    before = await held_at_rest()
    for what, work in (("answers", answered(router, 150)), ("clients that left", left(router, 30))):
        await work
        await answered(router, 6)  # as many connections are kept as before
        descriptors, tasks = await comes_back_to(before)
        assert descriptors <= before[0], what
        assert tasks <= before[1], what
    assert upstream.gone >= 15  # and their servers were told
