"""Whatever a client sends in another protocol is a chat, or is refused in words: nothing else happens."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.serving.completions.requests.request import parse_chat
from highwayman.serving.http.validation import DEFAULT_LIMITS, BadRequest
from highwayman.serving.protocols.endpoint import MESSAGES_PATH, PROTOCOLS, RESPONSES_PATH
from highwayman.serving.protocols.protocol import AnsweredBy, LeftOut

BY = AnsweredBy("hw-1", "small")
WORDS = st.sampled_from(
    ["user", "assistant", "system", "text", "image", "tool_use", "tool_result", "document", "base64", "url", "x", "",
     "message", "input_text", "input_image", "function", "custom", "function_call", "function_call_output", "auto",
     "tool", "any", "json_schema", "web_search", "reasoning", "enabled", "content", "allowed_tools"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["role", "content", "type", "text", "source", "data", "media_type", "url", "id", "name", "input", "tool_use_id",
     "call_id", "arguments", "output", "image_url", "input_schema", "parameters", "schema", "format", "tools", "mode"]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=6,
)
FIXTURES = Path(__file__).with_name("fixtures")
AGENTS = {MESSAGES_PATH: "messages_agent.json", RESPONSES_PATH: "responses_agent.json"}


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*place, key)
        yield from places_in(part, (*place, key))


def changed(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """Return a value with another one in a place, where it still has that place."""
    if not place:
        return other
    places = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
    if place[0] not in places:
        return value
    copy = value.copy()
    copy[place[0]] = changed(copy[place[0]], place[1:], other)
    return copy


@pytest.mark.parametrize("path", AGENTS)
@settings(max_examples=30)
@given(data=st.data())
def test_what_an_agent_sends_with_anything_else_in_it_is_a_chat_or_is_refused_in_words(
    path: str, data: st.DataObject
) -> None:
    body = json.loads((FIXTURES / AGENTS[path]).read_text())
    places = list(places_in(body))
    for place in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        body = changed(body, place, data.draw(VALUES))
    try:
        request = PROTOCOLS[path].translate(json.dumps(body).encode(), DEFAULT_LIMITS)
        parse_chat(json.dumps(request.chat).encode(), DEFAULT_LIMITS)
    except BadRequest:
        return
    assert all(name.isascii() for name in request.left_out)


CHOICES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "index": st.integers(0, 1) | st.none(),
            "finish_reason": WORDS | st.none(),
            "delta": st.dictionaries(st.sampled_from(["content", "tool_calls", "reasoning", "refusal"]), VALUES),
            "message": st.dictionaries(st.sampled_from(["content", "tool_calls", "reasoning", "refusal"]), VALUES),
        },
    )
    | VALUES,
    max_size=2,
)
ANSWERS = st.dictionaries(st.sampled_from(["usage", "created"]), VALUES).flatmap(
    lambda answer: CHOICES.map(lambda choices: {**answer, "choices": choices})
)


@pytest.mark.parametrize("path", [MESSAGES_PATH, RESPONSES_PATH])
@settings(max_examples=25)
@given(answers=st.lists(ANSWERS, max_size=3))
def test_whatever_a_server_answers_is_written_as_the_protocol_has_it(path: str, answers: list[dict[str, Any]]) -> None:
    asked = {"model": "auto", "max_tokens": 9, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    translator = PROTOCOLS[path].translate(json.dumps(asked).encode(), DEFAULT_LIMITS).answers
    stream = translator.stream(BY)
    told = b"".join(map(stream.feed, answers)) + stream.finish()
    lines = [line for line in told.split(b"\n") if line.startswith(b"data: ")]
    assert all(json.loads(line[6:])["type"] for line in lines)
    for answer in answers:
        assert json.dumps(translator.whole(answer, BY))


def test_what_is_left_out_is_told_in_words_that_fit_a_header() -> None:
    left_out = LeftOut()
    for name in ("thinking", "ünicode", "a\r\nb: c", *map(str, range(100))):
        left_out.add(name)
    names = left_out.names()
    assert {"thinking", "other"} < set(names)
    assert len(names) == 16
