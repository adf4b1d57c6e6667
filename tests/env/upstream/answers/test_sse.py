import json
import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.json_pieces import PIECE_BYTES
from highwayman.env.types import Usage
from highwayman.env.upstream.answers.sse import ResponseIdentity, SseRewriter, parse_finish_reason
from highwayman.env.upstream.answers.usage_report import ReportedUsage, parse_usage

USAGE = b'{"id":"1","choices":[],"model":"org/M","usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}'
WORDS = [
    b'data: {"id":"1","model":"org/M","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}\n\n',
    b': keep-alive "model":"org/M"\n\n',
    'data: {"id":"1", "model" : "org/M" ,"choices":[{"delta":{"content":"Größe 😀"}}]}\n\n'.encode(),
    b'data: {"model":"org/M","choices":[{"delta":{"content":"say \\"model\\": \\"org/M\\""}}]}\r\n\r\n',
    b'event: odd\ndata:{"choices":[{"delta":{},"finish_reason":"length"}],"model":"org/M"}\n\n',
]
STREAM = b"".join(WORDS) + b"data: " + USAGE + b"\n\ndata: [DONE]\n\n"


def passed(*chunks: bytes, keep_usage: bool = False, arm: str = "my-arm") -> tuple[bytes, SseRewriter]:
    """Return what goes to the client of an upstream's chunks, and the stream that passed it."""
    stream = SseRewriter(ResponseIdentity(arm, "hw-1"), keep_usage=keep_usage)
    return b"".join([*map(stream.feed, chunks), stream.finish()]), stream


def renamed(data: bytes) -> bytes:
    """Return the stream above with the arm's name where a model stood as a key of its own, and the decision's id."""
    data = data.replace(b'{"id":"1"', b'{"id":"chatcmpl-hw-1"')
    for before in (
        b'"model":"org/M","choices":[{"',
        b'"model" : "org/M" ',
        b'"model":"org/M"}\n',
        b'"model":"org/M","us',
    ):
        after = before.replace(b'"model" : "org/M"', b'"model":"my-arm"').replace(
            b'"model":"org/M"', b'"model":"my-arm"'
        )
        data = data.replace(before, after)
    return data


def test_all_goes_through_byte_for_byte_but_the_model_and_the_id() -> None:
    out, _ = passed(STREAM, keep_usage=True)
    assert out == renamed(STREAM)
    assert out.count(b"my-arm") == 5
    assert out.count(b"org/M") == 2  # in a comment, and in what the model said


def test_the_usage_chunk_is_taken_out_with_its_blank_line_unless_asked_for() -> None:
    out, stream = passed(STREAM)
    assert out == renamed(STREAM.replace(b"data: " + USAGE + b"\n\n", b""))
    assert stream.usage == ReportedUsage(7, 3)


def test_the_usage_chunk_goes_with_carriage_returns_too() -> None:
    out, _ = passed(b"data: " + USAGE + b"\r\n\r\ndata: [DONE]\r\n\r\n")
    assert out == b"data: [DONE]\r\n\r\n"


def test_usage_beside_choices_is_read_and_left_in() -> None:
    line = b'data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    out, stream = passed(line)
    assert out == line
    assert stream.usage == ReportedUsage(1, 2)


def test_what_the_meter_needs_is_kept() -> None:
    _, stream = passed(STREAM)
    assert (stream.usage, stream.finish_reason, stream.done) == (ReportedUsage(7, 3), "length", True)
    assert stream.data_lines == 5  # four of words, one of usage


def test_a_stream_cut_before_its_end_is_not_done_and_its_lines_are_counted() -> None:
    _, stream = passed(*WORDS[:3])
    assert (stream.usage, stream.finish_reason, stream.done, stream.data_lines) == (None, None, False, 2)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=30), st.booleans())
def test_any_split_into_chunks_gives_the_same_bytes(cuts: list[int], keep_usage: bool) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in pairwise(edges)]
    out, stream = passed(*chunks, keep_usage=keep_usage)
    whole, at_once = passed(STREAM, keep_usage=keep_usage)
    assert out == whole
    assert (stream.usage, stream.finish_reason, stream.data_lines) == (at_once.usage, at_once.finish_reason, 5)


def test_byte_by_byte_gives_the_same_bytes() -> None:
    assert passed(*[bytes([byte]) for byte in STREAM])[0] == passed(STREAM)[0]


def test_a_finished_line_goes_on_at_once_and_an_unfinished_one_waits() -> None:
    stream = SseRewriter(ResponseIdentity("my-arm", "hw-1"), keep_usage=False)
    assert stream.feed(b'data: {"model":"org') == b""
    assert stream.feed(b'/M"}\n\nda') == b'data: {"model":"my-arm"}\n\n'
    assert stream.feed(b"ta: [DONE]\n") == b"data: [DONE]\n"


def test_a_last_line_without_its_end_is_passed_on_without_an_end() -> None:
    out, stream = passed(b'data: {"model":"org/M"}\n\ndata: [DONE]')
    assert out == b'data: {"model":"my-arm"}\n\ndata: [DONE]'
    assert stream.done
    out, stream = passed(b"data: " + USAGE)
    assert out == b""
    assert stream.usage == ReportedUsage(7, 3)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_whatever_a_model_says_is_untouched(said: str) -> None:
    tricky = f'{said}"model":"x"\\", "model": "{said}"'
    for ascii_only in (True, False):
        chunk = {"id": "1", "model": "org/M", "choices": [{"delta": {"content": tricky}, "finish_reason": None}]}
        line = b"data: " + json.dumps(chunk, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") + b"\n\n"
        out, _ = passed(line)
        named = line.replace(b'"id": "1"', b'"id": "chatcmpl-hw-1"', 1)
        assert out == named.replace(b'"model": "org/M"', b'"model":"my-arm"', 1)


@settings(deadline=None)
@given(st.text(max_size=20).filter(lambda text: text.isprintable()), st.text(max_size=20))
def test_any_model_name_is_replaced_by_any_arms_name(model: str, arm: str) -> None:
    answer = json.dumps({"id": "1", "model": model, "choices": []}).encode()
    told = json.loads(ResponseIdentity(arm, "hw-1").rewrite(answer))
    assert told == {"id": "chatcmpl-hw-1", "model": arm, "choices": []}


def test_a_model_key_further_in_is_not_the_answers_and_stays() -> None:
    answer = b'{"model":"org/M","choices":[{"meta":{"model":"inner"}}]}'
    assert (
        ResponseIdentity("my-arm", "hw-1").rewrite(answer)
        == b'{"model":"my-arm","choices":[{"meta":{"model":"inner"}}]}'
    )


def test_an_answer_without_a_model_is_left_alone() -> None:
    assert (
        ResponseIdentity("my-arm", "hw-1").rewrite(b'{"error": {"message": "no"}}') == b'{"error": {"message": "no"}}'
    )


@pytest.mark.parametrize("line", [b'data: {"usage": \n', b"data: \xff\xfe\n", b'data: ["usage"]\n', b'data: "usage"\n'])
def test_a_line_that_is_no_chunk_goes_through_as_it_came(line: bytes) -> None:
    out, stream = passed(line)
    assert out == line
    assert (stream.usage, stream.finish_reason) == (None, None)


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, Usage(1, 2)),
        ({"usage": {"prompt_tokens": 1}}, Usage(1, 0)),
        ({"usage": {"completion_tokens": 2}}, None),
        ({"usage": {"prompt_tokens": "1", "completion_tokens": 2}}, None),
        ({"usage": None}, None),
        ({}, None),
        ([], None),
        ("usage", None),
        (None, None),
    ],
)
def test_usage_is_read_where_it_is_complete(answer: Any, usage: Usage | None) -> None:
    assert parse_usage(answer) == usage


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}, "stop"),
        ({"choices": [{"finish_reason": None}]}, None),
        ({"choices": [{"finish_reason": 3}]}, None),
        ({"choices": [None]}, None),
        ({"choices": []}, None),
        ({"choices": {}}, None),
        ([1], None),
    ],
)
def test_the_finish_reason_is_the_first_choices(answer: Any, reason: str | None) -> None:
    assert parse_finish_reason(answer) == reason


def test_an_answers_own_id_names_its_decision_and_a_tool_calls_id_stays() -> None:
    call = b'"tool_calls":[{"id":"chatcmpl-tool-7","function":{"arguments":"{\\"id\\":\\"chatcmpl-1\\"}"}}]'
    answer = b'{"choices":[{"message":{' + call + b'}}],"id":"chatcmpl-0af3","model":"m"}'
    told = ResponseIdentity("my-arm", "hw-1").rewrite(answer)
    assert told == b'{"choices":[{"message":{' + call + b'}}],"id":"chatcmpl-hw-1","model":"my-arm"}'
    assert ResponseIdentity("my-arm", "hw-1").rewrite(b'{"id":"cmpl-9"}') == b'{"id":"cmpl-hw-1"}'


@pytest.mark.parametrize("own", ['"gen-1766-abc"', '"a \\"quoted\\" one"', '""', "null", "17", '"chatcmpl-up"'])
@pytest.mark.parametrize("first", [True, False])
def test_an_answer_id_of_any_form_is_replaced_and_no_id_further_in(own: str, first: bool) -> None:
    choices = '"choices":[{"id":"mine","delta":{"tool_calls":[{"id":"call_1"}],"content":"\\"id\\":\\"x\\"} {"}}]'
    parts = [f'"id": {own}', choices] if first else [choices, f'"id": {own}']
    told = json.loads(ResponseIdentity("my-arm", "hw-1").rewrite(("{" + ",".join(parts) + "}").encode()))
    assert told == {**json.loads("{" + choices + "}"), "id": "chatcmpl-hw-1"}


@pytest.mark.parametrize(("size", "aside"), [(0, False), (PIECE_BYTES, True)])
async def test_a_large_answer_is_rewritten_beside_the_event_loop_and_a_small_one_at_once(
    size: int, aside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []
    rewrite = ResponseIdentity.rewrite

    def noted(identity: ResponseIdentity, data: bytes) -> bytes:
        threads.append(threading.current_thread() is not threading.main_thread())
        return rewrite(identity, data)

    monkeypatch.setattr(ResponseIdentity, "rewrite", noted)
    data = b'{"model":"m","x":"' + b"a" * size + b'"}'
    assert await ResponseIdentity("arm", "d").rewrite_aside(data) == data.replace(b'"m"', b'"arm"')
    assert threads == [aside]


def test_the_id_of_a_completion_says_so() -> None:
    assert ResponseIdentity("a", "hw-1", chat=False).rewrite(b'{"id":"gen-1"}') == b'{"id":"cmpl-hw-1"}'


def test_an_answer_whose_only_ids_are_further_in_keeps_them() -> None:
    answer = b'{"choices":[{"id":"mine"}]}'
    assert ResponseIdentity("a", "hw-1").rewrite(answer) == answer


def chunk(**choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error":{"message":"out of memory","code":500}}\n\n',
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'data: {"object":"error","message":"no"}\n\n',
        b'event: error\ndata: {"message":"out of memory","code":500}\n\n',
        b"event:error\r\nid: 7\r\ndata: out of memory\r\n\r\n",
        chunk(delta={}, finish_reason="error"),
    ],
)
def test_after_an_error_event_nothing_goes_on(event: bytes) -> None:
    out, stream = passed(chunk(delta={"content": "Hel"}), event, chunk(delta={"content": "lo"}), b"data: [DONE]\n\n")
    assert b"Hel" in out
    assert not any(word in out for word in (b"lo", b"DONE", b"memory", b"Overloaded"))
    assert (stream.complete, stream.failure) == (False, "answered with an error")


def test_words_about_errors_are_no_error_nor_is_what_comes_behind_an_event_of_another_name() -> None:
    out, stream = passed(b"event: error\n\nevent: message\n" + chunk(delta={}, finish_reason="stop"))
    assert stream.complete
    out, stream = passed(chunk(delta={"content": 'say "error": {"error": 1}'}), chunk(delta={}, finish_reason="stop"))
    assert stream.complete
    assert b"say" in out


def test_a_stream_is_complete_with_a_finish_reason_or_with_done() -> None:
    assert passed(chunk(delta={"content": "a"}), chunk(delta={}, finish_reason="stop"))[1].complete
    assert passed(chunk(delta={"content": "a"}), b"data: [DONE]\n\n")[1].complete
    assert not passed(chunk(delta={"content": "a"}))[1].complete
    assert passed(chunk(delta={"content": "a"}, finish_reason="stop"), chunk(delta={}))[1].complete


def test_a_stream_of_two_choices_is_not_complete_while_the_second_goes_on() -> None:
    first, second = chunk(delta={"content": "a"}, finish_reason="stop"), chunk(delta={"content": "b"})
    assert not passed(first, second)[1].complete
    assert not passed(second, second, first, second, second)[1].complete
    assert passed(first, second, chunk(delta={}, finish_reason="stop"))[1].complete


def test_the_words_of_all_choices_are_counted_reasoning_and_calls_among_them() -> None:
    call = {"tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}}]}
    deltas = [{"content": "one"}, {"reasoning": "two", "reasoning_content": "two"}, call, {"role": "assistant"}]
    _, stream = passed(*(chunk(delta=delta) for delta in deltas), chunk(text="five"))
    assert (stream.words().chars, stream.words().pieces) == (len("one" + "two" + 'f{"a":1}' + "five"), 4)


def test_of_a_long_answer_that_says_no_usage_little_is_held_and_all_is_counted() -> None:
    stream, event = SseRewriter(ResponseIdentity("a", "hw-1"), keep_usage=True), chunk(delta={"content": "x" * 1000})
    for _ in range(1000):
        stream.feed(event)
    assert stream._text._unread_bytes <= 1 << 18
    assert (stream.words().chars, stream.words().pieces) == (1_000_000, 1000)
