"""Streams are cut into lines in time that grows with their bytes, and no answer is larger than is taken."""

import asyncio
import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.errors import UpstreamError
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, Attempt
from highwayman.env.upstream.answers.endings import Ending
from highwayman.env.upstream.answers.lines import AnswerSizes, LineSplitter, feed_aside
from highwayman.env.upstream.answers.sse import ResponseIdentity, SseRewriter
from highwayman.env.upstream.answers.stream_opening import StreamOpening
from highwayman.env.upstream.client import Upstream
from tests.upstream_server import ANY, Behaviour, Say, ScriptedUpstream, Send

SIZES = AnswerSizes(whole=4_000, line=2_000, stream=4_000)
LONG = b"data: " + b"x" * 3_000


@given(st.lists(st.binary(max_size=8).map(lambda data: data.replace(b"\x01", b"\n")), max_size=12))
def test_lines_are_the_same_however_they_come(chunks: list[bytes]) -> None:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    assert [*lines, splitter.finish()] == b"".join(chunks).split(b"\n")


def test_one_huge_line_in_small_pieces_takes_time_in_proportion_to_its_bytes() -> None:
    stream = SseRewriter(ResponseIdentity("a", "hw-1"), keep_usage=True)
    began = time.process_time()
    stream.feed(b'data: {"choices":[{"delta":{"content":"')
    for _ in range(16_000):
        assert stream.feed(b"x" * 256) == b""
    out = stream.feed(b'"}}]}\n')
    assert time.process_time() - began < 3.0  # joining all again for each piece takes 20 s
    assert (len(out), stream.words().chars) == (4_096_045, 4_096_000)


async def test_a_long_line_is_read_beside_the_event_loop() -> None:
    read_by = []

    class Reader:
        lines = LineSplitter()

        def feed(self, chunk: bytes) -> list[bytes]:
            read_by.append(threading.current_thread() is threading.main_thread())
            return self.lines.feed(chunk)

    reader = Reader()
    await feed_aside(reader, b"x" * 100_000)
    await feed_aside(reader, b"\n")
    await feed_aside(reader, b"short\n")
    await feed_aside(reader, b"x\n" * 200_000)  # all of an answer whose server did not stream
    assert read_by == [True, False, True, False]


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([LONG], "sent a line of more than 2000 bytes"),
        ([b": " + b"x" * 998 + b"\n"] * 5, "sent a stream of more than 4000 bytes"),
    ],
)
def test_a_stream_beyond_its_size_is_broken_and_nothing_more_of_it_goes_on(pieces: list[bytes], why: str) -> None:
    stream = SseRewriter(ResponseIdentity("a", "hw-1"), keep_usage=True, sizes=SIZES)
    assert stream.feed(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n')
    for piece in pieces:
        stream.feed(piece)
    assert (stream.failure, stream.complete) == (why, False)
    assert stream.feed(b"\n\ndata: [DONE]\n\n") == b""
    assert not stream.complete


@pytest.mark.parametrize(
    ("failure", "stream", "why"),
    [
        (Send((b'{"choices":[' + b" " * 5_000 + b"]}",), content_type="application/json"), False,
         "answered with more than 4000 bytes"),
        (Send((b'{"choices":[' + b" " * 5_000 + b"]}",), content_type="application/json"), True,
         "answered with more than 4000 bytes"),
        (Send((LONG,)), True, "sent a line of more than 2000 bytes"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_too_large_is_its_arms_fault_and_the_next_arm_answers(
    failure: Behaviour, stream: bool, why: str
) -> None:
    health = EndpointHealth(time.monotonic)
    upstream = Upstream(health, time.monotonic, sizes=SIZES)
    await upstream.start()
    async with ScriptedUpstream() as bad, ScriptedUpstream() as well:
        bad.script(ANY, failure)
        well.script(ANY, Say("all is well"))
        arms = [Arm("bad", (bad.url,), "m", None, None, 4096), Arm("well", (well.url,), "m", None, None, 4096)]
        tried: list[Attempt] = []
        answer = await upstream.open(arms, "/v1/chat/completions", lambda arm: {"stream": stream}, tried=tried)
        assert (answer.arm.name, b"well" in await answer.body()) == ("well", True)
        assert [(attempt.ending, attempt.why) for attempt in tried] == [
            (Ending.ARMS_FAULT, why),
            (Ending.ANSWERED, ""),
        ]
        assert not health.is_up(bad.url)
        with pytest.raises(UpstreamError, match=why):
            await upstream.open(arms[:1], "/v1/chat/completions", lambda arm: {"stream": stream})
    await upstream.close()


async def test_a_first_event_of_several_mebibytes_is_an_answer() -> None:
    """An image in the first event is no silence."""
    upstream = Upstream(EndpointHealth(time.monotonic), time.monotonic)
    await upstream.start()
    image = b'data: {"choices":[{"delta":{"images":["' + b"x" * (3 << 20) + b'"]}}]}\n\n'
    async with ScriptedUpstream() as server:
        server.script(ANY, Send((image,)))
        arm = Arm("a", (server.url,), "m", None, None, 4096)
        answer = await asyncio.wait_for(upstream.open([arm], "/v1/chat/completions", lambda arm: {"stream": True}), 20)
        assert await answer.body() == image
    await upstream.close()


EVENTS = [
    {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": end}]}
    for text, end in (("Paris", None), (" it is", None), ("", "stop"))
]


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(("indent", "end"), [(1, "\n"), (1, "\r\n"), (1, "\r"), (None, "\r"), (None, "\ufeff")])
def test_an_event_is_read_however_its_lines_are_ended_and_its_value_is_spread_over_them(
    indent: int | None, end: str, size: int
) -> None:
    begin, end, size = (end, "\n", max(size, 7)) if end == "\ufeff" else ("", end, size)
    lines = [f"data: {line}" for event in EVENTS for line in [*json.dumps(event, indent=indent).split("\n"), ""]]
    lines = [line if line != "data: " else "" for line in lines]
    data = (begin + end.join([*lines, "data: [DONE]", ""]) + end).encode()
    stream, opening = SseRewriter(ResponseIdentity("a", "hw-1"), keep_usage=True), StreamOpening(AnswerSizes())
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    out = b"".join([*map(stream.feed, pieces), stream.finish()])
    told = [
        json.loads(line[5:]) for line in out.decode().splitlines() if line.startswith("data:") and "DONE" not in line
    ]
    assert [event["choices"] for event in told] == [event["choices"] for event in EVENTS]
    assert {event["id"] for event in told} == {"chatcmpl-hw-1"}
    assert (stream.words().sample, stream.finish_reason, stream.done) == ("Paris it is", "stop", True)
    while not opening.begun:
        opening.feed(pieces.pop(0))
