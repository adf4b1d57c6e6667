"""Arms that fail lose their traffic and get it back: a router over HTTP, with one arm that is well beside them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Behaviour, BreakOff, Fail, Hang, Say, ScriptedUpstream, Send

CHAT = "/v1/chat/completions"
ERROR = b'data: {"error":{"message":"CUDA out of memory","code":500}}\n\n'
FAILURES: dict[str, Behaviour] = {
    "expired": Fail(401),
    "broken": Send((ERROR,)),
    "silent": Hang(),
    "busy": Fail(429, retry_after="600"),
}


@dataclass(frozen=True)
class Pool:
    """A router over servers by arm."""

    router: Router
    servers: dict[str, ScriptedUpstream]

    def requests(self) -> dict[str, int]:
        return {name: len(server.requests) for name, server in self.servers.items()}

    async def counted(self, failing: str, well: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what /v1/policy says of two arms once what they did is in the version in force."""
        async with asyncio.timeout(10):
            while True:
                _, shown = await self.router.get("/v1/policy")
                arms = shown["arms"]
                if arms[failing]["failures"]:
                    return arms[failing], arms[well]
                await asyncio.sleep(0.05)

    async def answers(self, count: int) -> list[tuple[str, str]]:
        """Return who answered that many streamed requests, one after the other, and under which decision."""
        served = []
        for _ in range(count):
            async with self.router.http.post(CHAT, json=ask(stream=True)) as response:
                assert b"[DONE]" in await response.read()
                served.append((response.headers["x-highwayman-arm"], response.headers["x-highwayman-decision"]))
        return served


@pytest.fixture
async def pool(valkey_url: str, namespace: str) -> AsyncIterator[Pool]:
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(ScriptedUpstream()) for name in ("well", *FAILURES)}
        for name, server in servers.items():
            server.script(ANY, FAILURES.get(name, Say("Paris.")))
        arms = [arm(name, server.url) for name, server in servers.items()]
        config = {"limits": {"first_byte_s": 0.5, "redis_s": 5.0}}
        yield Pool(await stack.enter_async_context(running_router(arms, valkey_url, namespace, config=config)), servers)


async def test_failing_arms_lose_their_traffic_within_twenty_requests_are_told_and_come_back(pool: Pool) -> None:
    assert {served for served, _ in await pool.answers(20)} == {"well"}
    before = pool.requests()
    answers = await pool.answers(40)
    assert {served for served, _ in answers} == {"well"}
    asked = {name: count - before[name] for name, count in pool.requests().items()}
    assert all(asked[name] <= 2 for name in FAILURES), asked

    decision = await pool.router.decision(answers[-1][1])
    assert "busy" in decision["resting"], "who is left out is told with the decision"
    assert sorted([*decision["resting"], *decision["arms"]]) == sorted(pool.servers)
    busy, well = await pool.counted("busy", "well")
    assert (well["resting"], busy["resting"]) == ([], [pool.servers["busy"].url])
    assert busy["failures"] == busy["attempts"] > 0
    assert 0 < busy["chance_to_answer"] < 0.9 < well["chance_to_answer"]
    _, ready = await pool.router.get("/readyz")
    assert (ready["ready"], ready["arms"]["well"], ready["arms"]["busy"]) == (True, True, False)
    async with pool.router.http.get("/metrics") as response:
        metrics = await response.text()
    assert 'highwayman_resting_endpoints{arm="busy"} 1.0' in metrics
    assert 'highwayman_chance_to_answer{arm="busy"} 0.' in metrics

    for server in pool.servers.values():
        server.script(ANY, Say("Paris."))
    served: set[str] = set()
    async with asyncio.timeout(60):
        while served <= {"well"}:  # the others follow, each after its rest
            served |= {name for name, _ in await pool.answers(1)}
            await asyncio.sleep(0.05)


async def test_an_arm_that_breaks_off_what_it_begins_loses_its_traffic_too(pool: Pool) -> None:
    for name in FAILURES:
        pool.servers[name].script(ANY, FAILURES["busy"])
    pool.servers["broken"].script(ANY, BreakOff(Say("Paris, of course."), events=3))
    whole = []
    for _ in range(40):
        async with pool.router.http.post(CHAT, json=ask(stream=True)) as response:
            whole.append(b"[DONE]" in await response.read())
    assert 1 <= whole.count(False) <= len(pool.servers["broken"].requests) <= 5


async def test_a_pool_that_asked_to_be_left_alone_is_refused_for_as_long_with_no_call_and_no_failure(
    pool: Pool,
) -> None:
    for server in pool.servers.values():
        server.script(ANY, Fail(429, retry_after="60"))
    first, _, _ = await pool.router.post(CHAT, ask())
    before = pool.requests()
    status, answer, headers = await pool.router.post(CHAT, ask())
    assert (first, status, pool.requests()) == (429, 429, before)
    assert 50 < int(headers["retry-after"]) <= 60
    assert "left alone" in answer["error"]["message"]
    outcome: dict[str, Any] = (await pool.router.decision(headers["x-highwayman-decision"]))["outcome"]
    assert (outcome["status"], outcome["tried"], outcome["attempts"]) == ("refused", [], 0)
