"""A message that is streamed is the one that is sent whole, whatever the pieces."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.serving.protocols.messages.answer import MessageAnswers, error_body
from highwayman.serving.protocols.messages.stream import MessageStream
from highwayman.serving.protocols.protocol import AnsweredBy

BY = AnsweredBy("hw-1", "small")
WORDS = st.text(min_size=1, max_size=5)
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}


def chunk(delta: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **more}]}


def events_of(raw: bytes) -> list[dict[str, Any]]:
    events = []
    for text in raw.decode().split("\n\n")[:-1]:
        name, data = text.split("\n", 1)
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def assembled(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a client puts together; every block begins, grows and ends in turn."""
    message: dict[str, Any] = {}
    growing: int | None = None
    arguments: dict[int, str] = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            assert message == {}
            message = event["message"]
        elif kind == "content_block_start":
            assert growing is None
            growing = event["index"]
            assert growing == len(message["content"])
            message["content"].append(event["content_block"])
        elif kind == "content_block_delta":
            assert growing == event["index"]
            delta = dict(event["delta"])
            if delta.pop("type") == "input_json_delta":
                arguments[growing] = arguments.get(growing, "") + delta["partial_json"]
            else:
                ((key, text),) = delta.items()
                message["content"][growing][key] += text
        elif kind == "content_block_stop":
            assert growing == event["index"]
            growing = None
        elif kind == "message_delta":
            message |= {**event["delta"], "usage": event["usage"]}
    assert growing is None
    assert [event["type"] for event in events[:2]] == ["message_start", "ping"]
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    for place, text in arguments.items():
        message["content"][place]["input"] = json.loads(text)
    return message


def streamed(chunks: list[dict[str, Any]], answers: MessageAnswers) -> dict[str, Any]:
    stream = answers.stream(BY)
    return assembled(events_of(b"".join(map(stream.feed, chunks)) + stream.finish()))


@settings(max_examples=30)
@given(
    thoughts=st.lists(WORDS, max_size=3),
    words=st.lists(WORDS, max_size=4),
    calls=st.lists(st.dictionaries(WORDS, WORDS, max_size=2), max_size=3),
    shows=st.booleans(),
    finish=st.sampled_from(["stop", "length", "content_filter"]),
)
def test_a_streamed_message_is_the_whole_one(
    thoughts: list[str], words: list[str], calls: list[dict[str, str]], shows: bool, finish: str
) -> None:
    answers = MessageAnswers(shows_thinking=shows)
    reason = "tool_calls" if calls else finish
    made = [
        {"index": k, "id": f"call-{k}", "type": "function", "function": {"name": "f", "arguments": json.dumps(call)}}
        for k, call in enumerate(calls)
    ]
    deltas: list[Any] = [{"role": "assistant", "content": ""}, *({"reasoning_content": text} for text in thoughts)]
    deltas += [{"content": word} for word in words]
    for k, call in enumerate(made):
        text = json.dumps(calls[k])
        deltas.append({"tool_calls": [{**call, "function": {"name": "f", "arguments": text[:3]}}]})
        deltas.append({"tool_calls": [{"index": k, "function": {"arguments": text[3:]}}]})
    chunks = [*map(chunk, deltas), chunk({}, finish_reason=reason), {"choices": [], "usage": USAGE}]
    said = {"reasoning_content": "".join(thoughts), "content": "".join(words), "tool_calls": made}
    whole = {"choices": [{"index": 0, "message": said, "finish_reason": reason}], "usage": USAGE}
    message = answers.whole(whole, BY)
    assert streamed(chunks, answers) == message
    assert message["usage"]["input_tokens"] + message["usage"]["cache_read_input_tokens"] == 9
    assert message["id"] == "msg_hw-1"


def test_a_text_that_the_answer_ended_before_is_told_where_the_server_tells_it() -> None:
    answers = MessageAnswers(stops=("END",))
    end = chunk({"content": "a"}, finish_reason="stop", stop_reason="END")
    message = streamed([end], answers)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_arguments_that_are_no_json_reach_the_tool_as_they_are() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a": '}}
    message = MessageAnswers().whole({"choices": [{"index": 0, "message": {"tool_calls": [call]}}]}, BY)
    assert message["content"] == [{"type": "tool_use", "id": "c", "name": "f", "input": {"arguments": '{"a": '}}]
    assert message["stop_reason"] == "tool_use"


def test_an_answer_that_broke_off_ends_with_an_error_and_no_end() -> None:
    stream = MessageStream(BY)
    told = events_of(stream.feed(chunk({"content": "a"})) + stream.fail({"message": "gone"}))
    assert told[-1] == {"type": "error", "error": {"type": "api_error", "message": "gone"}}


def test_errors_have_the_names_that_the_client_looks_for() -> None:
    names = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
             429: "rate_limit_error", 502: "api_error", 503: "overloaded_error"}  # fmt: skip
    assert {status: error_body(status, {"message": "m"})["error"]["type"] for status in names} == names
