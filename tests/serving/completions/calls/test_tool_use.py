from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.pool.tool_beliefs import ToolBeliefs
from highwayman.env.types import Outcome, Query, Status
from highwayman.env.upstream.answers.answer_text import AnswerText
from highwayman.serving.completions.calls.tool_use import learn_of_tools
from tests.feedback.worlds import outcome
from tests.serving.running_router import arm

OFFERED = Query(text="What time is it?", prompt_chars=16, tools=1, tools_tokens=100)
READ, CALLED = replace(outcome("d"), tokens_in=60), replace(outcome("d"), tokens_in=60, finish_reason="tool_calls")
UNREAD = replace(outcome("d"), tokens_in=49)


@pytest.mark.parametrize(
    ("asked", "came", "believed"),
    [
        (OFFERED, CALLED, True),
        (OFFERED, UNREAD, False),
        (OFFERED, READ, None),  # it may have read them
        (OFFERED, replace(UNREAD, estimated=True), None),  # nobody knows what it has read
        (OFFERED, replace(CALLED, tools_dropped=True), None),
        (OFFERED, replace(CALLED, status=Status.FAILED), None),
        (replace(OFFERED, tools=0), CALLED, None),
    ],
)
def test_an_answer_tells_of_tools_what_it_can(asked: Query, came: Outcome, believed: bool | None) -> None:
    beliefs, unknown = ToolBeliefs(lambda: 0.0), replace(arm("a"), tools=None)
    learn_of_tools(beliefs, unknown, asked, came)
    assert beliefs.believed(unknown).tools is believed


@pytest.mark.parametrize("called", [{"tool_calls": [{"function": {"name": "f"}}]}, {"function_call": {"name": "f"}}])
def test_a_call_is_known_by_what_the_answer_says_whatever_it_ends_with(called: dict[str, Any]) -> None:
    beliefs, unknown = ToolBeliefs(lambda: 0.0), replace(arm("a"), tools=None)
    text = AnswerText({"choices": [{"message": {"content": None, **called}, "finish_reason": "stop"}]})
    learn_of_tools(beliefs, unknown, OFFERED, UNREAD, text=text)
    assert beliefs.believed(unknown).tools is True


def test_a_count_that_is_less_than_the_messages_alone_says_nothing_of_tools() -> None:
    beliefs, unknown = ToolBeliefs(lambda: 0.0), replace(arm("a"), tools=None)
    learn_of_tools(beliefs, unknown, OFFERED, replace(UNREAD, prompt_tokens=500))
    assert beliefs.believed(unknown).tools is None
