"""Events that are passed on without being parsed tell of the stream exactly what parsing each of them would tell."""

import json
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from highwayman.env.upstream.answers import event_template, sse
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.env.upstream.answers.endings import account_of_event
from highwayman.env.upstream.answers.lines import parse_event
from highwayman.env.upstream.answers.sse import ResponseIdentity, SseRewriter, parse_finish_reason
from highwayman.env.upstream.answers.usage_report import joined, parse_reported_usage

IDENTITY = ResponseIdentity("my-arm", "hw-1")
CHUNK = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "org/M"}


@dataclass
class ReadByLine:
    """The slow way: a stream cut into lines, each of them parsed and rewritten on its own."""

    out: list[bytes] = field(default_factory=list)
    text: AnswerText = field(default_factory=AnswerText)
    told: dict[str, Any] = field(
        default_factory=lambda: {"usage": None, "finish_reason": None, "failure": None, "done": False, "data_lines": 0}
    )

    def read(self, stream: bytes) -> "ReadByLine":
        """Take a whole stream."""
        dropped, lines = False, stream.split(b"\n")
        for place, line in enumerate(lines):
            end = b"\n" if place + 1 < len(lines) else b""
            if self.told["failure"] is not None or not line + end:
                break
            was_dropped, dropped = dropped, False
            if not line.startswith(b"data:"):
                self.out += [] if was_dropped and not line.strip() else [line + end]
            elif line[5:].strip() == b"[DONE]":
                self.told["done"] = True
                self.out.append(line + end)
            else:
                dropped = self._read_event(line)
                self.out += [] if dropped or self.told["failure"] else [IDENTITY.rewrite(line) + end]
        return self

    def _read_event(self, line: bytes) -> bool:
        self.told["data_lines"] += 1
        try:
            event = parse_event(line[5:])
        except ValueError:
            return False
        failure = account_of_event(event)
        if failure is not None:
            self.told["failure"] = failure.why
            return False
        if self.text.add(event) and self.told["usage"] is not None:  # it does not count these words
            self.told["usage"] = replace(self.told["usage"], tokens_out=None)
        self.told["finish_reason"] = parse_finish_reason(event) or self.told["finish_reason"]
        usage = parse_reported_usage(event)
        self.told["usage"] = self.told["usage"] if usage is None else joined(self.told["usage"], usage)
        return isinstance(event, dict) and isinstance(event.get("usage"), dict) and not event.get("choices")


def assert_read_alike(stream: bytes, cuts: list[int]) -> None:
    """Check that a stream in pieces gives the bytes, and tells what, the slow way does."""
    slow, quick = ReadByLine().read(stream), SseRewriter(IDENTITY, keep_usage=False)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    out = [quick.feed(stream[start:end]) for start, end in pairwise(edges)]
    assert b"".join([*out, quick.finish()]) == b"".join(slow.out)
    assert {name: getattr(quick, name) for name in slow.told} == slow.told
    words = quick.words()
    assert (words.chars, words.pieces, words.sample) == (slow.text.chars, slow.text.pieces, slow.text.sample)


TRICKY = ['"', "\\", '\\"', "\n", "\r\n\r\n", "data: [DONE]", '"finish_reason":"stop"', "é", "😀", "\x00", "]}", "{"]
WORDS = st.one_of(
    st.sampled_from([" word", "Paris", "", "model", "id", "c-1", "stop", *TRICKY]),
    st.text(max_size=6),
    st.lists(st.sampled_from(TRICKY), max_size=4).map("".join),
)
DELTAS = st.one_of(
    WORDS.map(lambda text: {"content": text}),
    WORDS.map(lambda text: {"content": text}),
    WORDS.map(lambda text: {"reasoning_content": text, "content": None}),
    WORDS.map(lambda text: {"reasoning": text, "reasoning_content": ""}),
    WORDS.map(lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
    st.sampled_from([{}, {"role": "assistant", "content": ""}, {"refusal": "No."}]),
)
FINISHES = st.sampled_from([None, None, None, None, "stop", "length", "error", ""])
EXTRAS = st.sampled_from(
    [*[{}] * 6, {"usage": None}, {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, {"error": None},
     {"error": {"message": "no"}}, {"object": "error"}, {"model": "other"}, {"id": 7}, {"created": 2}]
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """A chunk, mostly of one shape."""
    choice = {"index": draw(st.sampled_from([0, 0, 0, 1])), "delta": draw(DELTAS), "finish_reason": draw(FINISHES)}
    choices = draw(st.sampled_from([[choice], [choice], [choice], [], [choice, choice]]))
    return {**CHUNK, "choices": choices, **draw(EXTRAS)}


def escaped(text: str) -> str:
    """Return JSON with letters of its keys and values written as escapes."""
    return text.replace("finish", "\\u0066inish").replace('"usage', '"\\u0075sage').replace('error"', 'erro\\u0072"')


STYLES: list[Any] = [
    lambda event: json.dumps(event, separators=(",", ":"), ensure_ascii=False),
    json.dumps,
    lambda event: json.dumps(event, sort_keys=True, separators=(" , ", "\t: ")),
    lambda event: escaped(json.dumps(event)),
    lambda event: json.dumps(dict(reversed(event.items())), separators=(",", ":")),
]
OTHER_LINES = st.sampled_from(
    ["data: [DONE]", ": ping", "event: odd", "id: 7", "retry: 1", "data:", 'data: {"choices":', 'data: "}', "data"]
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A stream of one server, which writes in its own way, with whatever else may stand in one."""
    style, end = draw(st.sampled_from(STYLES)), draw(st.sampled_from(["\n\n", "\n\n", "\r\n\r\n", "\n", "\n\n\n"]))
    begin = draw(st.sampled_from(["data: ", "data:", "data:  "]))
    made = st.one_of(*[events().map(lambda event: begin + style(event))] * 6, OTHER_LINES)
    text = "".join(line + end for line in draw(st.lists(made, max_size=12)))
    return text.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"", b"", b'data: {"choices":[]}', b"\xff\n"]))


@given(streams(), st.lists(st.integers(0, 3_000), max_size=12))
def test_a_stream_however_it_is_written_and_cut_is_read_as_if_each_event_were_parsed(
    stream: bytes, cuts: list[int]
) -> None:
    assert_read_alike(stream, cuts)


def line(delta: dict[str, Any], **more: Any) -> bytes:
    """Return an event as most servers write it."""
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: " + json.dumps({**CHUNK, "choices": [choice], **more}, separators=(",", ":")).encode() + b"\n\n"


LEARNED = line({"content": "Paris"})


@given(st.binary(max_size=12), st.sampled_from([b"\n\n", b"\n", b"\r\n\r\n", b""]))
@example(b'"},"finish_reason":"stop"}],"x":[{"y":{"z":"', b"\n\n")
@example(b"\\", b"\n\n")
@example(b'\\\\\\"', b"\n\n")
@example(b"\\ud800", b"\n\n")
@example(b'a"}}]}\n\ndata: {"error":{"message":"b', b"\n\n")
def test_whatever_bytes_stand_where_words_did_are_read_as_if_each_event_were_parsed(inside: bytes, end: bytes) -> None:
    changed = LEARNED.rstrip().replace(b"Paris", inside) + end
    stream = LEARNED + changed + line({"content": "."}) + b"data: [DONE]\n\n"
    assert_read_alike(stream, [len(LEARNED)])
    assert_read_alike(stream, [len(LEARNED), len(LEARNED + changed)])


def ending(text: str, reason: str) -> bytes:
    """Return an event with words and an end."""
    return line({"content": text}).replace(b'"finish_reason":null', b'"finish_reason":"%b"' % reason.encode())


TWO_CHOICES = {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}, "note": "ab"}]}


@pytest.mark.parametrize(
    "events",
    [
        [line({"content": "c-1"}), line({"content": "org/M"}), line({"content": "b"})],  # what is rewritten elsewhere
        [line({}, **TWO_CHOICES), line({}, **TWO_CHOICES).replace(b'"ab"', b'"cd"')],  # what only reads as words do
        [ending("a", "stop"), line({}).replace(b":null}", b':"length"}'), ending("b", "stop")],  # an end told twice
        [LEARNED, b": ", LEARNED, line({"content": "b"})],  # what a line begins with that is no event
        [LEARNED, line({"content": "b"}), line({"reasoning": "c"}), line({"content": "d"})],  # words in their order
        [LEARNED, line({}, usage={"prompt_tokens": 1}, choices=[]), b"\n", LEARNED, b"\n"],  # a blank line that goes
    ],
)  # fmt: skip
def test_events_that_are_nearly_alike_are_told_apart(events: list[bytes]) -> None:
    edges = list(accumulate(map(len, events)))
    assert_read_alike(b"".join(events), edges)
    assert_read_alike(b"".join(events), [])


def test_every_split_in_two_gives_the_same() -> None:
    words = [line({"content": text}) for text in ("Größe", ' "model":', "\\", "😀")]
    stream = LEARNED + b"".join(words) + line({}, usage={"prompt_tokens": 1, "completion_tokens": 2})
    for cut in range(len(stream)):
        assert_read_alike(stream, [len(LEARNED), cut])


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what is parsed from now on."""
    parsed: list[bytes] = []

    def noted(data: bytes) -> Any:
        parsed.append(data)
        return parse_event(data)

    for module in (sse, event_template):
        monkeypatch.setattr(module, "parse_event", noted)
    return parsed


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("name", ["content", "reasoning_content", "arguments"])
def test_of_a_long_stream_only_the_first_words_and_what_tells_more_are_parsed(
    name: str, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = counted(monkeypatch)
    deltas = [{name: text} for text in ("Pa", *['is "it"'] * 299)]
    if name == "arguments":
        deltas = [{"tool_calls": [{"index": 0, "function": delta}]} for delta in deltas]
    usage = {"prompt_tokens": 7, "completion_tokens": 300}
    last = [line({}).replace(b":null}]", b':"stop"}]'), line({}, usage=usage), b"data: [DONE]\n\n"]
    stream = SseRewriter(IDENTITY, keep_usage=True)
    for event in [*map(line, deltas), *last]:
        stream.feed(event.replace(b"\n", end))
    assert (stream.data_lines, stream.finish_reason, stream.done, stream.words().pieces) == (302, "stop", True, 300)
    assert len(parsed) == 4  # the first words, the same with others in them, the end, and the usage


def test_a_stream_whose_events_have_little_in_common_is_not_searched_for_it_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed, stream = counted(monkeypatch), SseRewriter(IDENTITY, keep_usage=True)
    for number in range(100):
        stream.feed(line({"content": "a"}, created=number))
    assert len(parsed) <= 100 + 8
    assert stream.words().pieces == 100
