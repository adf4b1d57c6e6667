from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.intake.implicit_signals import (
    REPHRASED,
    TOOL_FAILURE,
    ImplicitSignal,
    has_invalid_tool_calls,
    implicit_signals,
    turn_key,
)

SECRET = b"s" * 32
ASKED = {"role": "user", "content": "What is the tallest mountain on Earth?"}
ANSWER = {"role": "assistant", "content": "K2."}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def found(*messages: dict[str, Any], like: float = 0.0) -> dict[str, str]:
    return {one.metric: one.turn for one in implicit_signals(messages, SECRET, lambda one, other: like)}


def test_the_same_messages_name_the_same_turn_however_they_are_written_down() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": ASKED["content"] + " "}]}
    dated = {"role": "system", "content": "Today is Monday."}
    assert turn_key([ASKED], SECRET) == turn_key([parts], SECRET) == turn_key([dated, ASKED], SECRET)
    assert turn_key([ASKED], SECRET) != turn_key([ASKED], b"t" * 32)
    assert turn_key([ASKED, ANSWER, ASKED], SECRET) != turn_key([ASKED], SECRET)


def test_a_first_question_says_nothing_of_any_answer() -> None:
    assert found(ASKED) == {}


def test_a_follow_up_that_puts_the_question_anew_speaks_of_the_answer_before() -> None:
    anew = user("Which mountain on Earth is the tallest?")
    assert found(ASKED, ANSWER, anew, like=0.9)[REPHRASED] == turn_key([ASKED], SECRET)
    assert REPHRASED not in found(ASKED, ANSWER, anew, like=0.5)
    assert REPHRASED in found(ASKED, ANSWER, ASKED)


@pytest.mark.parametrize("text", ["yes", "go on", "thanks!", ""])
def test_a_word_of_assent_is_no_question_put_anew(text: str) -> None:
    assert REPHRASED not in found(user(text), ANSWER, user(text), like=1.0)


@pytest.mark.parametrize(
    ("content", "failed"),
    [
        ('{"error": "no such city"}', True),
        ('{"error": null, "temperature": 3}', False),
        ('{"success": false}', True),
        ("TypeError: unsupported operand", True),
        ("Traceback (most recent call last):\n...", True),
        ("The error rate is 3%.", False),
        ("3", False),
        ("[]", False),
    ],
)
def test_a_tools_error_speaks_of_the_answer_that_called_it(content: str, failed: bool) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f"}}]}
    told = found(ASKED, call, {"role": "tool", "tool_call_id": "c", "content": content})
    assert told.get(TOOL_FAILURE) == (turn_key([ASKED], SECRET) if failed else None)


def test_a_call_of_a_tool_that_was_not_offered_or_without_json_is_broken() -> None:
    tools = [{"type": "function", "function": {"name": "weather"}}]
    assert not has_invalid_tool_calls([("weather", '{"city": "Rome"}')], tools)
    assert not has_invalid_tool_calls([], None)
    assert has_invalid_tool_calls([("weather", '{"city": ')], tools)
    assert has_invalid_tool_calls([("whether", "{}")], tools)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "x"])},
    optional={"content": JSON, "tool_calls": JSON},
)


@settings(max_examples=200, deadline=None)
@given(messages=st.lists(MESSAGE, max_size=6), calls=st.lists(st.tuples(st.text(), st.text()), max_size=3), tools=JSON)
def test_no_messages_whatever_they_hold_make_it_fail(
    messages: list[dict[str, Any]], calls: list[tuple[str, str]], tools: Any
) -> None:
    assert all(isinstance(one, ImplicitSignal) for one in implicit_signals(messages, SECRET, lambda one, other: 1.0))
    has_invalid_tool_calls(calls, tools)


def test_long_questions_that_differ_at_their_end_are_different_turns() -> None:
    long = "a" * 200_000
    names = {turn_key([{"role": "user", "content": long + end}], b"secret") for end in ("", "b", "c", "b ")}
    assert len(names) == 3
