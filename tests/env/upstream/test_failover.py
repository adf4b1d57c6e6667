"""Whatever an arm does before it says something, another one answers; each kind of failure over a real socket."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from highwayman.env.errors import UpstreamError
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, Attempt
from highwayman.env.upstream.answer_observer import AnswerObserver
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.attempts.retry_budget import RetryBudget
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.client import Upstream, UpstreamTimeouts
from tests.upstream_server import ANY, Behaviour, BreakOff, Fail, Hang, HangUp, Say, ScriptedUpstream, Send, closed_url

CHAT = "/v1/chat/completions"
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
ERROR = b'{"error":{"message":"CUDA out of memory","type":"server_error","code":500}}'
DONE = b"data: [DONE]\n\n"
HTML, JSON = "text/html", "application/json"

ARMS_STATUSES = [401, 402, 403, 404, 408, 409, 425, 429, 500, 501, 502, 503, 504, 507, 520, 521, 522, 524, 529, 599]
STATUSES: list[Behaviour] = [Fail(status) for status in ARMS_STATUSES]
REDIRECTS: list[Behaviour] = [
    Send(status=status, headers=(("location", "http://127.0.0.1:1/"),)) for status in (301, 302, 303, 307, 308)
]
ODD: list[Behaviour] = [Send(status=status) for status in (201, 202, 204, 206)]
BROKEN: list[Behaviour] = [
    HangUp(),
    Hang(),
    Hang(head=True),
    Send((b"<html>It works!</html>",), content_type=HTML),
    Send((b"<html>login</html>",), content_type=JSON),
    Send((b'{"choices": [',), content_type=JSON),
    Send((b"null",), content_type=JSON),
    Send((b"[]",), content_type=JSON),
    Send((b"{}",), content_type=JSON),
    Send((b'{"choices": []}',), content_type=JSON),
    Send((b'{"choices": null}',), content_type=JSON),
    Send((b'{"choices": [{}]}',), content_type=JSON),
    Send((ERROR,), content_type=JSON),
    Send((b'{"object":"error","message":"no"}',), content_type=JSON),
    Send((b'{"choices":[{"message":{"content":""},"finish_reason":"error"}]}',), content_type=JSON),
    Send((), content_type=JSON),
    Fail(400, "API key not valid. Please pass a valid API key."),
]
STREAMED: list[Behaviour] = [
    Send(()),
    Send((DONE,)),
    Send((ROLE,)),
    Send((ROLE, DONE)),
    Send((ROLE,), cut=True),
    Send((b": PROCESSING\n\n",) * 3, cut=True),
    Send((b"data: not json\n\n",)),
    Send((b"data: {\n\n",)),
    Send((b"data: " + ERROR + b"\n\n", DONE)),
    Send((ROLE, b"event: error\ndata: " + ERROR + b"\n\n")),
    Send((ROLE, b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}\n\n', DONE)),
    Send((b": " + b"x" * 1000 + b"\n\n",) * 1200),
    BreakOff(Say("never said"), events=1),
]
WHOLE: list[Behaviour] = [BreakOff(Say("half of it"))]


class Calls:
    """An upstream with everything it marks."""

    def __init__(self, **options: Any) -> None:
        self.health = EndpointHealth(time.monotonic)
        self.windows: list[tuple[str, int]] = []
        self.answered: list[str] = []
        self.without_tools: list[str] = []
        self.tried: list[Attempt] = []
        limits = options.pop("limits", UpstreamTimeouts(first_byte_s=0.3, silence_s=0.3))
        self.upstream = Upstream(
            self.health,
            time.monotonic,
            limits,
            observer=AnswerObserver(
                on_window_too_small=lambda arm, told, needed: self.windows.append((arm.name, told or needed)),
                on_answered=lambda arm, needed: self.answered.append(arm.name),
                on_tools_refused=lambda arm: self.without_tools.append(arm.name),
            ),
            **options,
        )

    async def open(self, *arms: Arm, **body: Any) -> UpstreamResponse:
        self.tried = []
        asked = {"messages": [{"role": "user", "content": "Hello?"}], **body}
        return await self.upstream.open(arms, CHAT, lambda arm: {"model": arm.model, **asked}, tried=self.tried)


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    made = Calls()
    await made.upstream.start()
    yield made
    await made.upstream.close()


def arm(*servers: ScriptedUpstream | str, name: str = "a", window: int = 4096) -> Arm:
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    return Arm(name, urls, f"org/{name}", None, None, window)


CASES = [
    *((failure, stream) for failure in (*STATUSES, *REDIRECTS, *ODD, *BROKEN) for stream in (False, True)),
    *((failure, True) for failure in STREAMED),
    *((failure, False) for failure in WHOLE),
]


@pytest.mark.parametrize(("failure", "stream"), CASES, ids=lambda value: str(value)[:60])
async def test_an_arm_that_fails_before_it_says_something_is_seen_by_nobody_and_blamed(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream, failure: Behaviour, stream: bool
) -> None:
    bad.script(ANY, failure)
    answer = await calls.open(arm(bad, name="bad"), arm(well, name="well"), stream=stream)
    assert (answer.arm.name, answer.account.ending, answer.attempts) == ("well", Ending.ANSWERED, 2)
    assert b"well" in await answer.body()
    first, second = calls.tried
    assert (first.arm, first.endpoint, first.ending) == ("bad", bad.url, Ending.ARMS_FAULT)
    assert first.why
    assert "memory" not in first.why
    assert first.seconds >= 0
    assert (second.arm, second.endpoint, second.ending) == ("well", well.url, Ending.ANSWERED)
    assert (calls.health.is_up(bad.url), calls.health.is_up(well.url)) == (False, True)


async def test_a_refused_connection_is_on_record(calls: Calls, well: ScriptedUpstream) -> None:
    dead = closed_url()
    await calls.open(arm(dead, well))
    assert [(attempt.endpoint, attempt.ending) for attempt in calls.tried] == [
        (dead, Ending.ARMS_FAULT),
        (well.url, Ending.ANSWERED),
    ]
    assert calls.tried[0].why == "no connection to it could be made"


async def test_comments_and_roles_wait_and_the_time_to_the_first_token_is_that_of_the_first_word(
    bad: ScriptedUpstream,
) -> None:
    go, calls = asyncio.Event(), Calls(limits=UpstreamTimeouts(first_byte_s=10.0))
    await calls.upstream.start()
    word = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    bad.script(ANY, Send((b": PROCESSING\n\n" + ROLE, word, DONE), pause=go))
    opening = asyncio.create_task(calls.open(arm(bad), stream=True))
    await bad.asked()
    await asyncio.sleep(0.2)  # long enough for what was written to have come
    assert not opening.done()
    go.set()
    answer = await opening
    assert answer.first_byte_at - answer.sent_at >= 0.2
    assert await answer.body() == b": PROCESSING\n\n" + ROLE + word + DONE
    await calls.upstream.close()


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]},
    ],
)
async def test_words_thoughts_and_calls_begin_an_answer(
    calls: Calls, bad: ScriptedUpstream, delta: dict[str, Any]
) -> None:
    event = b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
    bad.script(ANY, Send((event, b"data: " + ERROR + b"\n\n")))
    assert (await calls.open(arm(bad), stream=True)).account.ending is Ending.ANSWERED


async def test_a_whole_answer_to_who_wants_a_stream_is_written_as_one(calls: Calls, bad: ScriptedUpstream) -> None:
    said = Say("in one piece")
    bad.script(ANY, Send((json.dumps(said.whole({"messages": []})).encode(),), content_type=JSON))
    answer = await calls.open(arm(bad), stream=True)
    assert answer.content_type == "text/event-stream"
    body = await answer.body()
    assert body.startswith(b"data: ")
    assert body.endswith(DONE)
    assert b"in one piece" in body


OVERFLOWS = [
    (400, "This model's maximum context length is 512 tokens. However, you requested 600 tokens.", 512),
    (400, "'max_tokens' is too large: 900. This model's maximum context length is 512 tokens and your request has 10 "
          "input tokens", 512),
    (400, "prompt is too long: 208310 tokens > 512 maximum", 512),
    (400, "request (4390 tokens) exceeds the available context size (512 tokens), try increasing it", 512),
    (400, "The input (600 tokens) is longer than the model's context length (512 tokens).", 512),
    (413, "Requested tokens (2285) exceed context window of 512", 512),
    (400, "the request exceeds the available context size, try increasing it", None),
    (422, "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 512. Given: 600", None),
    (400, "The input token count (600) exceeds the maximum number of tokens allowed (512).", None),
]  # fmt: skip


@pytest.mark.parametrize(("status", "message", "tokens"), OVERFLOWS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_prompt_too_long_for_one_arm_goes_to_one_with_a_larger_window(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream,
    status: int, message: str, tokens: int | None, stream: bool,
) -> None:  # fmt: skip
    bad.script(ANY, Fail(status, message))
    arms = arm(bad, bad, name="small", window=4096), arm(bad, name="smaller", window=64), arm(well, window=8192)
    answer = await calls.open(*arms, stream=stream)
    assert b"well" in await answer.body()
    assert [(attempt.arm, attempt.ending) for attempt in calls.tried] == [
        ("small", Ending.WINDOW_TOO_SMALL),
        ("a", Ending.ANSWERED),
    ]
    ((corrected, believed),) = calls.windows
    assert corrected == "small"
    assert believed == tokens or tokens is None
    assert calls.health.is_up(bad.url)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_window_told_of_inside_a_200_is_one_too(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream, stream: bool
) -> None:
    told = b'{"error":{"code":400,"message":"the request exceeds","type":"exceed_context_size_error","n_ctx":512}}'
    whole = Send((told,), content_type=JSON)
    bad.script(ANY, Send((b"data: " + told + b"\n\n",)) if stream else whole)
    assert (await calls.open(arm(bad), arm(well, name="b", window=8192), stream=stream)).arm.name == "b"
    assert calls.windows == [("a", 512)]
    answer = await calls.open(arm(bad), stream=stream)
    assert (answer.status, json.loads(await answer.body())["error"]["code"]) == (400, "context_length_exceeded")


async def test_a_server_that_refuses_to_tell_a_streams_usage_is_asked_without_it_and_that_is_remembered(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    refusal = Fail(422, body=b'{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}')
    bad.script(ANY, refusal, Say("Paris."))
    for _ in range(2):
        asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        assert (await calls.open(arm(bad), arm(well, name="b"), **asked)).arm.name == "a"
    assert ["stream_options" in request for request in bad.requests] == [True, False, False]
    asked_anew: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    await calls.open(arm(well), **asked_anew)  # another server has come under that name
    assert "stream_options" in well.requests[0]
    bad.script(ANY, refusal)  # what a caller has written is the caller's
    answer = await calls.open(arm(bad, name="c"), stream=True, stream_options={"include_usage": True, "x": 1})
    assert (answer.status, b"extra_forbidden" in await answer.body(), len(bad.requests)) == (422, True, 4)


async def test_what_one_model_does_not_do_another_is_asked_for_and_the_caller_is_told_if_none_does(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    bad.script(ANY, Fail(400, "'temperature' does not support 0.2 with this model."))
    assert (await calls.open(arm(bad), arm(well, name="b"))).arm.name == "b"
    assert [attempt.ending for attempt in calls.tried] == [Ending.CALLERS_FAULT, Ending.ANSWERED]
    answer = await calls.open(arm(bad), arm(bad, name="b"))
    assert (answer.status, b"does not support 0.2" in await answer.body()) == (400, True)
    assert calls.health.is_up(bad.url)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_is_called_wrong_inside_a_200_is_refused_and_rests_nobody(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream, stream: bool
) -> None:
    told = b'{"error":{"code":400,"message":"temperature must be a number","type":"BadRequestError"}}'
    bad.script(ANY, Send((b"data: " + told + b"\n\n",)) if stream else Send((told,), content_type=JSON))
    answer = await calls.open(arm(bad), arm(well, name="b"), stream=stream)
    assert (answer.status, json.loads(await answer.body())) == (400, json.loads(told))
    assert (len(well.requests), calls.health.is_up(bad.url)) == (0, True)


async def test_a_prompt_too_long_for_all_reaches_the_caller_as_the_server_put_it(
    calls: Calls, bad: ScriptedUpstream
) -> None:
    bad.script(ANY, Fail(400, "This model's maximum context length is 512 tokens."))
    answer = await calls.open(arm(bad), arm(bad, name="b", window=256))
    assert (answer.status, len(bad.requests)) == (400, 1)
    assert "maximum context length" in json.loads(await answer.body())["error"]["message"]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("value", "seconds"), [("17", 17), ("0.5", 0.5), ("date", 30), ("soon", None), ("inf", None)])
async def test_the_rest_a_server_asks_for_is_given_and_told_when_all_are_out(
    calls: Calls, bad: ScriptedUpstream, status: int, value: str, seconds: float | None
) -> None:
    if value == "date":
        value = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    bad.script(ANY, Fail(status, retry_after=value))
    with pytest.raises(UpstreamError) as caught:
        await calls.open(arm(bad))
    assert caught.value.status == status
    assert caught.value.retry_after_s == (None if seconds is None else pytest.approx(seconds, abs=1.5))
    assert not calls.health.is_up(bad.url)


async def test_the_soonest_of_several_rests_is_told(calls: Calls, bad: ScriptedUpstream) -> None:
    bad.script(ANY, Fail(429, retry_after="40"), Fail(429, retry_after="7"))
    with pytest.raises(UpstreamError) as caught:
        await calls.open(arm(bad, name="a"), arm(bad, name="b"))
    assert caught.value.retry_after_s == 7


async def test_a_kept_connection_that_its_server_has_closed_is_tried_once_more_without_blame(calls: Calls) -> None:
    async with closing_server() as (url, served):
        for _ in range(3):
            assert b"kept" in await (await calls.open(arm(url))).body()
            assert [attempt.ending for attempt in calls.tried] == [Ending.ANSWERED]
        assert calls.health.is_up(url)
        assert len(served) == 3


async def test_all_attempts_together_have_a_deadline(bad: ScriptedUpstream, well: ScriptedUpstream) -> None:
    bad.script(ANY, Hang())
    calls = Calls(limits=UpstreamTimeouts(first_byte_s=0.2, all_attempts_s=0.3))
    await calls.upstream.start()
    started = time.monotonic()
    with pytest.raises(UpstreamError) as caught:
        await calls.open(arm(bad, name="a"), arm(bad, name="b"), arm(well, name="c"))
    assert caught.value.status == 504
    assert time.monotonic() - started < 2
    assert [attempt.arm for attempt in calls.tried] == ["a", "b"]
    await calls.upstream.close()


async def test_a_pool_that_is_down_is_not_asked_ever_more(bad: ScriptedUpstream) -> None:
    bad.script(ANY, Fail(500))
    calls = Calls(budget=RetryBudget(reserve=5))
    await calls.upstream.start()
    arms = [arm(bad, name=f"a{number}") for number in range(10)]
    for _ in range(20):
        with pytest.raises(UpstreamError, match="answered 500"):
            await calls.open(*arms)
    assert len(bad.requests) <= 20 * 2 + 5
    await calls.upstream.close()


async def test_an_arm_that_stays_down_costs_no_request_that_another_one_can_answer(
    bad: ScriptedUpstream, well: ScriptedUpstream
) -> None:
    bad.script(ANY, Fail(500))
    calls = Calls(budget=RetryBudget(reserve=1))
    await calls.upstream.start()
    for number in range(4):  # names of which nothing is known yet
        await calls.open(arm(bad, name=f"a{number}"), arm(well, name="b"))
        assert [attempt.arm for attempt in calls.tried] == [f"a{number}", "b"]
    await calls.upstream.close()


async def test_a_client_that_goes_leaves_the_attempt_on_record(calls: Calls, bad: ScriptedUpstream) -> None:
    bad.script(ANY, Say(before=asyncio.Event()))
    opening = asyncio.create_task(calls.open(arm(bad)))
    await bad.asked()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert [attempt.ending for attempt in calls.tried] == [Ending.CLIENT_LEFT]
    assert calls.health.is_up(bad.url)


class closing_server:
    """A server that says it keeps its connections, answers once on each, and hangs up at the next request on it."""

    def __init__(self) -> None:
        self.served: list[int] = []

    async def __aenter__(self) -> tuple[str, list[int]]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}", self.served

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        body = json.dumps(Say("kept").whole({"messages": []})).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        writer.write(body)
        self.served.append(1)
        await reader.read(1)  # the next request
        writer.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_refused_inside_a_200_are_refused_and_the_caller_is_told_what_by(
    calls: Calls, bad: ScriptedUpstream, well: ScriptedUpstream, stream: bool
) -> None:
    told = b'{"error":{"message":"m does not support tools"}}'
    bad.script(ANY, Send((b"data: " + told + b"\n\n",)) if stream else Send((told,), content_type=JSON))
    body = {"tools": [{"type": "function", "function": {"name": "f"}}], "stream": stream}
    assert (await calls.open(arm(bad), arm(well, name="b"), **body)).arm.name == "b"
    assert (calls.without_tools, calls.answered, calls.windows) == (["a"], ["b"], [])
    answer = await calls.open(arm(bad), **body)
    assert (await calls.open(arm(bad), stream=stream)).account.ending is Ending.TOOLS_REFUSED
    assert calls.without_tools == ["a", "a"], "who was offered none says nothing of itself"
    error = json.loads(await answer.body())["error"]
    assert (answer.status, error["param"], error["code"]) == (400, "tools", "tools_refused")
    assert error["message"] == "The server of 'a' takes no tools."
    assert calls.health.is_up(bad.url)


async def test_a_refusal_that_comes_in_pieces_reaches_the_caller_whole(calls: Calls, bad: ScriptedUpstream) -> None:
    go, said = asyncio.Event(), b'{"error":{"message":"' + b"x" * 1000 + b'"}}'
    bad.script(ANY, Send((said[:500], said[500:]), status=422, content_type=JSON, pause=go))
    opening = asyncio.create_task(calls.open(arm(bad)))
    await bad.asked()
    await asyncio.sleep(0.05)  # long enough for the first piece to have come
    go.set()
    answer = await opening
    assert (answer.status, answer.account.ending, await answer.body()) == (422, Ending.CALLERS_FAULT, said)


async def test_of_a_huge_refusal_the_first_mebibyte_is_kept(calls: Calls, bad: ScriptedUpstream) -> None:
    bad.script(ANY, Send((b"x" * 700_000, b"y" * 700_000), status=400))
    assert await (await calls.open(arm(bad))).body() == b"x" * 700_000 + b"y" * ((1 << 20) - 700_000)


async def test_a_whole_answer_that_is_begun_and_not_ended_is_given_up_when_the_requests_time_is_up(
    bad: ScriptedUpstream,
) -> None:
    bad.script(ANY, Send((b'{"choices":[', b"never"), content_type=JSON, pause=asyncio.Event()))
    calls = Calls(limits=UpstreamTimeouts(first_byte_s=5.0, silence_s=30.0, all_attempts_s=0.2))
    await calls.upstream.start()
    async with asyncio.timeout(5.0):
        with pytest.raises(UpstreamError) as caught:
            await calls.open(arm(bad))
    assert caught.value.status == 504
    await calls.upstream.close()
