import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from highwayman.env.errors import UpstreamError
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, JsonObject, Profile
from highwayman.env.upstream.client import Upstream, UpstreamResponse, UpstreamTimeouts
from tests.upstream_server import (
    ANY,
    Behaviour,
    BreakOff,
    Fail,
    Garbage,
    Hang,
    HangUp,
    Say,
    ScriptedUpstream,
    closed_url,
)

CHAT = "/v1/chat/completions"
HURRIED = UpstreamTimeouts(first_byte_s=0.5, silence_s=0.1)


class Calls:
    """An `Upstream` with the health it marks."""

    def __init__(self, limits: UpstreamTimeouts | None = None) -> None:
        self.health = EndpointHealth(time.monotonic)
        self.upstream = Upstream(self.health, time.monotonic, limits)

    async def open(self, *arms: Arm, **body: Any) -> UpstreamResponse:
        return await self.upstream.open(arms, CHAT, body_for(**body))

    def up(self, *servers: ScriptedUpstream) -> list[bool]:
        return [self.health.is_up(server.url) for server in servers]


def body_for(**body: Any) -> Callable[[Arm], JsonObject]:
    asked = {"messages": [{"role": "user", "content": "Grüße"}], **body}
    return lambda arm: {"model": arm.model, **asked}


def arm(*servers: ScriptedUpstream | str, name: str = "a", **options: Any) -> Arm:
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    return Arm(name, urls, f"org/{name}", None, None, 4096, **options)


async def text(answer: UpstreamResponse) -> str:
    """Return what a whole chat answer says."""
    said: str = json.loads(await answer.body())["choices"][0]["message"]["content"]
    return said


async def read_into(got: list[bytes], answer: UpstreamResponse) -> None:
    """Put each chunk into `got` as it comes."""
    async for chunk in answer.chunks():
        got.append(chunk)


async def waiting(calls: Calls, server: ScriptedUpstream, count: int) -> None:
    """Return once only `count` calls to `server` are without their first byte."""
    async with asyncio.timeout(10):
        while calls.upstream.pending_calls(server.url) > count:
            await asyncio.sleep(0)


def streamed(body: bytes) -> list[Any]:
    """Return the parsed events of a finished stream."""
    *events, done, rest = body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


@asynccontextmanager
async def calling(limits: UpstreamTimeouts | None = None) -> AsyncIterator[Calls]:
    calls = Calls(limits)
    await calls.upstream.start()
    try:
        yield calls
    finally:
        await calls.upstream.close()


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    async with calling() as made:
        yield made


@pytest.fixture
async def one() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say("from one"))
        yield server


@pytest.fixture
async def two() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say("from two"))
        yield server


async def test_a_whole_answer_comes_through_byte_for_byte(calls: Calls, one: ScriptedUpstream) -> None:
    answer = await calls.open(arm(one))
    said = Say("from one").whole(one.requests[0])
    assert await answer.body() == json.dumps(said).encode()
    assert (answer.status, answer.content_type, answer.attempts, answer.arm.name) == (200, "application/json", 1, "a")
    assert answer.sent_at <= answer.first_byte_at


async def test_a_stream_comes_through_byte_for_byte(calls: Calls, one: ScriptedUpstream) -> None:
    answer = await calls.open(arm(one), stream=True)
    assert answer.content_type.startswith("text/event-stream")
    assert await answer.body() == b"".join(Say("from one").events(one.requests[0]))


async def test_a_stream_is_passed_on_while_it_is_still_being_written(calls: Calls, one: ScriptedUpstream) -> None:
    rest = asyncio.Event()
    one.script(ANY, Say("word by word", hold=rest))
    answer = await calls.open(arm(one), stream=True)
    chunks = answer.chunks()
    assert b"role" in await anext(chunks)  # the server still waits for `rest`
    rest.set()
    assert b"".join([chunk async for chunk in chunks]).endswith(b"data: [DONE]\n\n")


async def test_each_arm_is_sent_its_own_body(calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream) -> None:
    one.script(ANY, Fail(500))
    await (await calls.open(arm(one, name="a"), arm(two, name="b"), temperature=0.5)).body()
    sent = {"messages": [{"role": "user", "content": "Grüße"}], "temperature": 0.5}
    assert one.requests == [{"model": "org/a", **sent}]
    assert two.requests == [{"model": "org/b", **sent}]
    assert one.paths == two.paths == [CHAT]


async def test_the_arms_key_is_sent_where_its_variable_is_set(
    calls: Calls, one: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE_KEY", "s3cret")
    for variable in ("ONE_KEY", "UNSET_KEY", None):
        await (await calls.open(arm(one, api_key_env=variable))).body()
    assert [headers.get("authorization") for headers in one.headers] == ["Bearer s3cret", None, None]


FAILURES: list[Behaviour] = [Fail(500), Fail(502), Fail(503), Fail(504), Fail(429), HangUp()]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
@pytest.mark.parametrize("stream", [False, True])
async def test_before_the_first_byte_another_replica_takes_over(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream, failure: Behaviour, stream: bool
) -> None:
    one.script(ANY, failure)
    answer = await calls.open(arm(one, two), stream=stream)
    assert b"two" in await answer.body()
    assert (answer.attempts, len(one.requests), len(two.requests)) == (2, 1, 1)


async def test_replicas_are_tried_before_other_arms_and_every_attempt_is_counted(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream
) -> None:
    one.script("org/a", Fail(503))
    answer = await calls.open(arm(closed_url(), one, name="a"), arm(closed_url(), name="b"), arm(two, one, name="c"))
    assert await text(answer) == "from two"
    assert (answer.arm.name, answer.attempts) == ("c", 4)
    assert [body["model"] for body in one.requests] == ["org/a"]


@pytest.mark.parametrize("head", [False, True], ids=["nothing", "head only"])
async def test_a_replica_that_does_not_answer_in_time_is_left_for_another_and_told_so(
    one: ScriptedUpstream, two: ScriptedUpstream, head: bool
) -> None:
    one.script(ANY, Hang(head))
    async with calling(HURRIED) as calls:
        answer = await calls.open(arm(one, two))
        assert await text(answer) == "from two"
        assert answer.attempts == 2
        await one.left()
        assert calls.up(one, two) == [False, True]


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422])
async def test_a_request_that_is_itself_wrong_is_not_tried_elsewhere(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream, status: int
) -> None:
    one.script(ANY, Fail(status, body=b'{"error": {"message": "max_tokens is too large"}}'))
    answer = await calls.open(arm(one, two), arm(two, name="b"))
    assert (answer.status, await answer.body()) == (status, b'{"error": {"message": "max_tokens is too large"}}')
    assert (answer.attempts, two.requests) == (1, [])
    assert calls.up(one) == [True]


@pytest.mark.parametrize(
    ("last", "status", "why"),
    [
        (Fail(500), 502, "answered 500"),
        (Fail(429), 429, "answered 429"),
        (Hang(), 504, "it did not answer in time"),
        (HangUp(), 502, "the connection broke"),
        (None, 502, "no connection to it could be made"),
    ],
    ids=str,
)
async def test_when_every_attempt_failed_the_error_says_how_many_and_why_the_last_without_addresses(
    one: ScriptedUpstream, two: ScriptedUpstream, last: Behaviour | None, status: int, why: str
) -> None:
    one.script(ANY, Fail(500))
    if last is not None:
        two.script(ANY, last)
    final = closed_url() if last is None else two.url
    async with calling(HURRIED if isinstance(last, Hang) else None) as calls:
        with pytest.raises(UpstreamError) as caught:
            await calls.open(arm(one, name="a"), arm(final, name="b"))
    assert caught.value.status == status
    assert f"No model server answered after 2 attempt(s); the last, arm 'b': {why}" in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_an_arm_without_endpoints_is_an_upstream_error(calls: Calls) -> None:
    with pytest.raises(UpstreamError, match=r"after 0 attempt\(s\)"):
        await calls.open(arm())


async def test_calls_before_the_start_are_a_programmers_error(one: ScriptedUpstream) -> None:
    with pytest.raises(RuntimeError, match="start"):
        await Calls().open(arm(one))


async def test_a_stream_that_breaks_off_is_an_error_and_nobody_else_is_asked(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream
) -> None:
    one.script(ANY, BreakOff(Say("half of it"), events=2))
    answer = await calls.open(arm(one, two), arm(two, name="b"), stream=True)
    got: list[bytes] = []
    with pytest.raises(UpstreamError, match="arm 'a' broke off its answer: the connection broke"):
        await read_into(got, answer)
    said, (body,) = Say("half of it"), one.requests
    assert b"".join(got)
    assert b"".join(said.events(body)).startswith(b"".join(got))
    assert two.requests == []


async def test_a_stream_that_falls_silent_is_an_error_and_its_server_is_told(one: ScriptedUpstream) -> None:
    one.script(ANY, Say("never finished", hold=asyncio.Event()))
    async with calling(UpstreamTimeouts(first_byte_s=10.0, silence_s=0.1)) as calls:
        answer = await calls.open(arm(one), stream=True)
        with pytest.raises(UpstreamError, match="it did not answer in time"):
            await answer.body()
        await one.left()


async def test_closing_an_answer_tells_the_server_to_stop(calls: Calls, one: ScriptedUpstream) -> None:
    one.script(ANY, Say("never finished", hold=asyncio.Event()))
    answer = await calls.open(arm(one), stream=True)
    answer.close()
    await one.left()


async def test_closing_an_answer_that_was_read_is_harmless(calls: Calls, one: ScriptedUpstream) -> None:
    answer = await calls.open(arm(one))
    await answer.body()
    answer.close()
    assert await text(await calls.open(arm(one))) == "from one"
    assert one.gone == 0


async def test_a_client_that_goes_before_the_first_byte_tells_the_server_and_nobody_else_is_asked(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream
) -> None:
    one.script(ANY, Hang())
    opening = asyncio.create_task(calls.open(arm(one, two)))
    await one.asked()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await one.left()
    assert two.requests == []
    assert calls.up(one) == [True]  # the client's haste is not the server's failure
    assert calls.upstream.pending_calls(one.url) == 0


@pytest.mark.parametrize(
    ("behaviour", "up"),
    [
        (Say(), True),
        (Fail(400), True),
        (Fail(429), False),
        (Fail(401), False),
        (Fail(500), False),
        (Fail(503), False),
        (HangUp(), False),
    ],
    ids=str,
)
async def test_health_is_learned_from_the_calls(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream, behaviour: Behaviour, up: bool
) -> None:
    one.script(ANY, behaviour)
    (await calls.open(arm(one, two))).close()
    assert calls.up(one, two) == [up, True]


async def test_a_resting_replica_is_asked_last_and_an_answer_wakes_it(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream
) -> None:
    calls.health.on_failure(one.url)
    assert await text(await calls.open(arm(one, two))) == "from two"
    two.script(ANY, Fail(500))
    assert await text(await calls.open(arm(one, two))) == "from one"
    assert calls.up(one, two) == [True, False]


async def test_the_replica_with_the_fewest_calls_waiting_is_asked_first(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream
) -> None:
    go = asyncio.Event()
    one.script(ANY, Say("from one", before=go))
    both = arm(one, two)
    first = asyncio.create_task(calls.open(both))
    await one.asked()
    assert (calls.upstream.pending_calls(one.url), calls.upstream.pending_calls(two.url)) == (1, 0)
    assert await text(await calls.open(both)) == "from two"
    go.set()
    assert await text(await first) == "from one"
    assert calls.upstream.pending_calls(one.url) == 0
    assert await text(await calls.open(both)) == "from one"


def of(best_of: int) -> Profile:
    return Profile(best_of=best_of)


async def test_the_answer_most_samples_give_is_served_and_all_samples_are_paid(
    calls: Calls, one: ScriptedUpstream
) -> None:
    one.script(ANY, Say("It is 3."), Say("It is 4."), Say("4"))
    answer = await calls.open(arm(one, profile=of(3)), temperature=0.7)
    served = json.loads(await answer.body())
    assert served["choices"][0]["message"]["content"] in ("It is 4.", "4")
    assert served["usage"] == {"prompt_tokens": 21, "completion_tokens": 15, "total_tokens": 36}
    assert (len(one.requests), answer.attempts, answer.content_type) == (3, 1, "application/json")
    assert all(body["temperature"] == 0.7 for body in one.requests)


async def test_a_voted_answer_is_streamed_to_who_asked_for_a_stream(calls: Calls, one: ScriptedUpstream) -> None:
    one.script(ANY, Say("4"))
    answer = await calls.open(arm(one, profile=of(2)), stream=True, stream_options={"include_usage": True})
    content, usage = streamed(await answer.body())
    assert answer.content_type == "text/event-stream"
    assert content["choices"][0]["delta"]["content"] == "4"
    assert usage["usage"] == {"prompt_tokens": 14, "completion_tokens": 10, "total_tokens": 24}
    assert not any({"stream", "stream_options"} & set(body) for body in one.requests)


async def test_a_caller_who_wants_several_answers_gets_them_unvoted(calls: Calls, one: ScriptedUpstream) -> None:
    answer = await calls.open(arm(one, profile=of(3)), n=2)
    assert len(json.loads(await answer.body())["choices"]) == 2
    assert len(one.requests) == 1


async def test_a_sample_refused_as_wrong_is_passed_through(calls: Calls, one: ScriptedUpstream) -> None:
    one.script(ANY, Say("4"), Fail(400, body=b'{"error": "no"}'), Say("4"))
    answer = await calls.open(arm(one, profile=of(3)))
    assert (answer.status, await answer.body()) == (400, b'{"error": "no"}')


@pytest.mark.parametrize(
    "broken",
    [
        Fail(500),
        HangUp(),
        BreakOff(),
        Garbage(),
        Garbage(b"[1, 2]"),
        Garbage(b"{}"),
        Garbage(b'{"choices": []}'),
        Garbage(b'{"choices": [7]}'),
        Garbage(b""),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_sample_that_fails_or_makes_no_sense_sends_the_request_to_the_next_arm(
    calls: Calls, one: ScriptedUpstream, two: ScriptedUpstream, broken: Behaviour, stream: bool
) -> None:
    one.script(ANY, Say("4"), broken)
    answer = await calls.open(arm(one, profile=of(3)), arm(two, name="b"), stream=stream)
    assert b"two" in await answer.body()
    assert (answer.arm.name, answer.attempts) == ("b", 2)


async def test_when_one_sample_fails_the_servers_of_the_others_are_told_to_stop(
    calls: Calls, one: ScriptedUpstream
) -> None:
    fail, never = asyncio.Event(), asyncio.Event()
    one.script(ANY, Fail(500, before=fail), Say("begun", hold=never), Hang())
    opening = asyncio.create_task(calls.open(arm(one, profile=of(3))))
    await one.asked(3)
    await waiting(calls, one, 2)  # one has begun
    fail.set()
    with pytest.raises(UpstreamError, match="answered 500"):
        await opening
    await one.left(2)


async def test_a_client_that_goes_while_samples_are_drawn_tells_all_their_servers(
    calls: Calls, one: ScriptedUpstream
) -> None:
    one.script(ANY, Say("begun", hold=asyncio.Event()), Hang())
    opening = asyncio.create_task(calls.open(arm(one, profile=of(3))))
    await one.asked(3)
    await waiting(calls, one, 2)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await one.left(3)
