"""A response that is streamed is the one that is sent whole, whatever the pieces."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from highwayman.serving.protocols.protocol import AnsweredBy
from highwayman.serving.protocols.responses.answer import ResponseAnswers
from highwayman.serving.protocols.responses.tools import CustomTools, custom_arguments

BY = AnsweredBy("hw-1", "small")
WORDS = st.text(min_size=1, max_size=5)
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 3}}
ANSWERS = ResponseAnswers({"instructions": "be", "temperature": 0.5}, CustomTools(frozenset({"patch"})))
_DELTAS = ("response.output_text.delta", "response.reasoning_text.delta",
           "response.function_call_arguments.delta", "response.custom_tool_call_input.delta")  # fmt: skip


def chunk(delta: Any, **more: Any) -> dict[str, Any]:
    return {"created": 1, "choices": [{"index": 0, "delta": delta, **more}]}


def events_of(raw: bytes) -> list[dict[str, Any]]:
    events = []
    for text in raw.decode().split("\n\n")[:-1]:
        name, data = text.split("\n", 1)
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def told_text(item: dict[str, Any]) -> str:
    content = item.get("content")
    return content[0]["text"] if content else item.get("arguments", item.get("input", ""))


def check(events: list[dict[str, Any]]) -> None:
    """Items begin, grow and end in turn, and end as what was told of them piece by piece."""
    growing: str | None = None
    text, count = "", 0
    for event in events:
        if event["type"] == "response.output_item.added":
            assert growing is None
            growing, text = event["item"]["id"], ""
        elif event["type"] in _DELTAS:
            assert (event["item_id"], event["output_index"]) == (growing, count)
            text += event["delta"]
        elif event["type"] == "response.output_item.done":
            assert (event["item"]["id"], event["output_index"]) == (growing, count)
            assert told_text(event["item"]) == text
            growing, count = None, count + 1
    assert growing is None


def streamed(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    stream = ANSWERS.stream(BY)
    events = events_of(b"".join(map(stream.feed, chunks)) + stream.finish())
    check(events)
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == f"response.{events[-1]['response']['status']}"
    return dict(events[-1]["response"])


@settings(max_examples=30)
@given(
    thoughts=st.lists(WORDS, max_size=3),
    words=st.lists(WORDS, max_size=4),
    calls=st.lists(st.tuples(st.sampled_from(["f", "patch"]), WORDS), max_size=3),
    finish=st.sampled_from(["stop", "length", "content_filter"]),
)
def test_a_streamed_response_is_the_whole_one(
    thoughts: list[str], words: list[str], calls: list[tuple[str, str]], finish: str
) -> None:
    reason = "tool_calls" if calls else finish
    made: list[dict[str, Any]] = [
        {
            "index": k,
            "id": f"call-{k}",
            "type": "function",
            "function": {"name": name, "arguments": custom_arguments(text)},
        }
        for k, (name, text) in enumerate(calls)
    ]
    deltas: list[Any] = [{"role": "assistant", "content": ""}, *({"reasoning": text} for text in thoughts)]
    deltas += [{"content": word} for word in words]
    for k, call in enumerate(made):
        name, text = call["function"]["name"], call["function"]["arguments"]
        deltas.append({"tool_calls": [{**call, "function": {"name": name, "arguments": text[:3]}}]})
        deltas.append({"tool_calls": [{"index": k, "function": {"arguments": text[3:]}}]})
    chunks = [*map(chunk, deltas), chunk({}, finish_reason=reason), {"choices": [], "usage": USAGE}]
    said = {"reasoning_content": "".join(thoughts), "content": "".join(words), "tool_calls": made}
    whole = {"created": 1, "choices": [{"index": 0, "message": said, "finish_reason": reason}], "usage": USAGE}
    response = ANSWERS.whole(whole, BY)
    assert streamed(chunks) == response
    parsed = Response.model_validate(response)
    assert parsed.output_text == "".join(words)
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 13
    customs = [item.input for item in parsed.output if item.type == "custom_tool_call"]
    assert customs == [text for name, text in calls if name == "patch"]


def test_an_answer_that_ran_into_its_limit_is_incomplete() -> None:
    response = streamed([chunk({"content": "a"}, finish_reason="length")])
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_a_response_says_what_was_asked_for() -> None:
    response = ANSWERS.whole({"choices": []}, BY)
    assert (response["instructions"], response["temperature"], response["tool_choice"]) == ("be", 0.5, "auto")
    assert (response["id"], response["model"], response["store"]) == ("resp_hw-1", "small", False)


def test_an_answer_that_broke_off_has_failed() -> None:
    stream = ANSWERS.stream(BY)
    last = events_of(stream.feed(chunk({"content": "a"})) + stream.fail({"message": "gone"}))[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": "server_error", "message": "gone"}
