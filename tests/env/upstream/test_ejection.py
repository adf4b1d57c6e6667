"""What a failing server costs its callers: few attempts, no waiting, and it is back soon after it is well."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from highwayman.env.errors import UpstreamError
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, Attempt
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from tests.upstream_server import ANY, Behaviour, Fail, Hang, HangUp, Say, ScriptedUpstream, Send

CHAT = "/v1/chat/completions"
ERROR = b'data: {"error":{"message":"out of memory","code":500}}\n\n'
PROMPT_S = 0.1  # far above a loopback answer, far below any limit that is waited for


class Calls:
    """An upstream whose clock can be set forward; the times that it waits for are real."""

    def __init__(self, **limits: float) -> None:
        self.later_s = 0.0
        self.health = EndpointHealth(self.clock)
        self.tried: list[Attempt] = []
        self.upstream = Upstream(
            self.health,
            self.clock,
            UpstreamTimeouts(**{"first_byte_s": 0.5, "least_patience_s": 0.3, **limits}),
        )

    def clock(self) -> float:
        return time.monotonic() + self.later_s

    async def open(self, *arms: Arm, **body: Any) -> UpstreamResponse:
        asked = {"messages": [{"role": "user", "content": "Hello?"}], **body}
        self.tried = tried = []
        return await self.upstream.open(arms, CHAT, lambda arm: {"model": arm.model, **asked}, tried=tried)

    async def answer(self, *arms: Arm, **body: Any) -> str:
        """Return the name of who answered, to the end."""
        answer = await self.open(*arms, **body)
        await answer.body()
        answer.credit()
        return answer.arm.name

    @property
    def endings(self) -> list[tuple[str, str]]:
        return [(attempt.arm, attempt.ending) for attempt in self.tried]


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    made = Calls()
    await made.upstream.start()
    yield made
    await made.upstream.close()


def arm(*servers: ScriptedUpstream, name: str) -> Arm:
    return Arm(name, tuple(server.url for server in servers), f"org/{name}", None, None, 4096)


FAILURES: list[Behaviour] = [Fail(401), Fail(503), HangUp(), Hang(), Hang(head=True), Send((ERROR,)), Send(status=204)]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda value: str(value)[:40])
async def test_a_failing_arm_is_asked_once_in_twenty_requests_and_again_half_a_minute_after_it_is_well(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream, failure: Behaviour
) -> None:
    bad.script(ANY, failure)
    arms = arm(bad, name="bad"), arm(well, name="well")
    assert {await calls.answer(*arms, stream=True) for _ in range(20)} == {"well"}
    assert len(bad.requests) == 1
    for _ in range(60):  # five minutes of it
        calls.later_s += 5.0
        assert await calls.answer(*arms, stream=True) == "well"
    assert len(bad.requests) <= 20
    await until(lambda: not calls.upstream.pending_calls(bad.url))
    bad.script(ANY, Say("back"))
    calls.later_s += 30.0
    await until(lambda: calls.health.may_ask(bad.url, "org/bad"))
    await calls.answer(*arms, stream=True)  # by whoever is faster
    await until(lambda: calls.health.may_ask(bad.url, "org/bad"))
    assert {await calls.answer(*arms, stream=True) for _ in range(20)} == {"bad"}


async def test_nobody_waits_for_a_silent_server_to_show_whether_it_is_well_again(
    bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    calls, gate = Calls(first_byte_s=30.0), asyncio.Event()
    await calls.upstream.start()
    bad.script(ANY, Say("at last", before=gate))
    arms = arm(bad, name="bad"), arm(well, name="well")
    calls.health.on_failure(bad.url, model="org/bad")
    for wait_s in (1.0, 0.0, 0.0):
        calls.later_s += wait_s
        started = time.monotonic()
        assert await calls.answer(*arms, stream=True) == "well"
        assert time.monotonic() - started < PROMPT_S + 0.05
    assert len(bad.requests) == 1
    gate.set()
    await until(lambda: calls.health.may_ask(bad.url, "org/bad"))
    assert await calls.answer(*arms, stream=True) == "bad"
    await calls.upstream.close()


async def test_one_call_at_a_time_finds_out_whether_a_server_is_well_again(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    bad.script(ANY, Hang())
    arms = arm(bad, name="bad"), arm(well, name="well")
    await calls.answer(*arms)
    calls.later_s += 1.0
    assert await asyncio.gather(*(calls.answer(*arms) for _ in range(20))) == ["well"] * 20
    assert len(bad.requests) == 2


async def test_the_call_that_finds_out_is_on_record_as_overtaken_and_answers_where_nobody_else_does(
    bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    calls, gate = Calls(first_byte_s=30.0), asyncio.Event()
    await calls.upstream.start()
    bad.script(ANY, Say("slow but well", before=gate))
    well.script(ANY, Fail(500))
    arms = arm(bad, name="bad"), arm(well, name="well")
    calls.health.on_failure(bad.url, model="org/bad")
    calls.later_s += 1.0
    opening = asyncio.create_task(calls.answer(*arms))
    await well.asked()
    gate.set()
    assert await opening == "bad"
    assert calls.endings == [("bad", Ending.OVERTAKEN), ("well", Ending.ARMS_FAULT), ("bad", Ending.ANSWERED)]
    await calls.upstream.close()


async def test_a_client_that_goes_takes_the_call_that_finds_out_along(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    bad.script(ANY, Hang())
    well.script(ANY, Hang())
    arms = arm(bad, name="bad"), arm(well, name="well")
    calls.health.on_failure(bad.url, model="org/bad")
    calls.later_s += 1.0
    opening = asyncio.create_task(calls.open(*arms))
    await bad.asked()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await bad.left()
    assert calls.health.may_ask(bad.url, "org/bad")


async def test_where_everybody_rests_they_are_asked_all_the_same(calls: Calls, bad: ScriptedUpstream) -> None:
    bad.script(ANY, Fail(500))
    for asked in (1, 2, 3):
        with pytest.raises(UpstreamError, match="answered 500"):
            await calls.open(arm(bad, name="bad"))
        assert len(bad.requests) == asked
    bad.script(ANY, Say("back"))
    assert await calls.answer(arm(bad, name="bad")) == "bad"


async def test_a_server_that_asked_to_be_left_alone_is_left_alone_though_nobody_else_is_there(
    bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    calls = Calls(first_byte_s=30.0)
    await calls.upstream.start()
    bad.script(ANY, Fail(429, retry_after="17"))
    well.script(ANY, Fail(503, retry_after="40"))
    arms = arm(bad, name="bad"), arm(well, name="well")
    with pytest.raises(UpstreamError):
        await calls.open(*arms)
    calls.later_s += 7.0
    with pytest.raises(UpstreamError, match="left alone") as caught:
        await calls.open(*arms)
    assert (caught.value.status, caught.value.attempts) == (429, 0)
    assert caught.value.retry_after_s == pytest.approx(10.0, abs=1.0)
    assert (len(bad.requests), len(well.requests), calls.tried) == (1, 1, [])
    bad.script(ANY, Say("back"))
    calls.later_s += 10.0
    assert await calls.answer(*arms) == "bad"
    await calls.upstream.close()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_that_falls_silent_is_given_up_by_what_its_answers_took(
    bad: ScriptedUpstream, well: ScriptedUpstream, stream: bool
) -> None:
    calls = Calls(first_byte_s=30.0)
    await calls.upstream.start()
    arms = arm(bad, name="bad"), arm(well, name="well")
    body = {"stream": stream, "max_tokens": 20}
    for _ in range(12):
        assert await calls.answer(*arms, **body) == "bad"
    bad.script(ANY, Hang())
    started = time.monotonic()
    answers = await asyncio.gather(*(calls.answer(*arms, **body) for _ in range(8)))
    assert answers == ["well"] * 8
    assert time.monotonic() - started < 8.0  # not thirty
    started = time.monotonic()
    assert await calls.answer(*arms, **body) == "well"
    assert time.monotonic() - started < PROMPT_S
    await calls.upstream.close()


async def test_a_slow_server_is_waited_for_where_nobody_else_is_there(bad: ScriptedUpstream) -> None:
    calls, gate = Calls(first_byte_s=30.0), asyncio.Event()
    await calls.upstream.start()
    for _ in range(12):
        await calls.answer(arm(bad, name="bad"), stream=True)
    bad.script(ANY, Say("slowly", before=gate))
    opening = asyncio.create_task(calls.answer(arm(bad, name="bad"), stream=True))
    await asyncio.sleep(0.5)  # more than its answers took so far, by far
    assert not opening.done()
    gate.set()
    assert await opening == "bad"
    await calls.upstream.close()


async def test_five_callers_at_most_find_out_that_a_new_server_is_silent(
    bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    calls = Calls(first_byte_s=0.5)
    await calls.upstream.start()
    bad.script(ANY, Hang())
    arms = arm(bad, name="bad"), arm(well, name="well")
    for _ in range(12):
        await calls.answer(arms[1], stream=True)
    assert await asyncio.gather(*(calls.answer(*arms, stream=True) for _ in range(30))) == ["well"] * 30
    assert len(bad.requests) == 5
    await calls.upstream.close()


async def until(is_true: Any) -> None:
    async with asyncio.timeout(5):
        while not is_true():
            await asyncio.sleep(0.005)
