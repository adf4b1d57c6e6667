"""No body stops the router: others are answered meanwhile, whatever is sent, and nothing that is sent is our fault."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from itertools import islice

import aiohttp
import pytest

from benchmarks.body_shapes import SHAPES, Shape, mutated
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

MEGABYTE = 2**20
LONGEST_GAP_S = 1.0  # the aim, on a machine that does nothing else, is 0.1 s: `python -m benchmarks.bodies`


@pytest.fixture
async def router(valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Well."))
        arms = [arm("small", upstream.url, window=10**9), arm("large", upstream.url, window=10**9)]
        async with running_router(arms, valkey_url, namespace) as started:
            yield started


async def longest_gap_s(router: Router, shape: Shape, size: int) -> float:
    """Send a body; return the longest time meanwhile without an answer of /healthz, asked on another connection."""
    body = shape.make(size)
    gap_s, done = 0.0, asyncio.Event()

    async def ask_for_health() -> None:
        nonlocal gap_s
        answered_at = time.perf_counter()
        async with aiohttp.ClientSession(router.url) as http:
            answered_last = False
            while not answered_last:
                answered_last = done.is_set()
                async with http.get("/healthz") as response:
                    assert response.status == 200
                gap_s, answered_at = max(gap_s, time.perf_counter() - answered_at), time.perf_counter()
                await asyncio.sleep(0.01)

    asking = asyncio.create_task(ask_for_health())
    await asyncio.sleep(0.02)
    async with router.http.post(shape.path, data=body) as response:
        text = await response.text()
    done.set()
    await asking
    assert response.status < 500, (shape.name, response.status, text[:300])
    assert len(text) < 4000, (shape.name, text[:300])
    return gap_s


@pytest.mark.timeout(300)
async def test_the_router_answers_others_while_it_reads_four_megabytes_of_any_shape(router: Router) -> None:
    gaps_s = {shape.name: await longest_gap_s(router, shape, 4 * MEGABYTE) for shape in SHAPES}
    assert max(gaps_s.values()) < LONGEST_GAP_S, gaps_s


async def test_mutated_bodies_are_nobody_elses_fault(router: Router) -> None:
    statuses: dict[int, int] = {}

    async def send(path: str, body: bytes) -> None:
        async with router.http.post(path, data=body) as response:
            text = await response.text()
            statuses[response.status] = statuses.get(response.status, 0) + 1
            assert response.status < 500, (path, body, response.status, text)

    bodies = list(islice(mutated(random.Random(14)), 600))
    for start in range(0, len(bodies), 12):
        await asyncio.gather(*(send(path, body) for path, body in bodies[start : start + 12]))
    assert statuses[200] > 30
    assert statuses[400] > 50
