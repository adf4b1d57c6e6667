"""Under which name an answer is stored, and which have none."""

from typing import Any

import pydantic_core
import pytest

from highwayman.serving.completions.answer_cache.answer_key import AnswerKey, AskedBy, answer_key
from highwayman.serving.completions.requests.request import parse_chat, parse_completion
from tests.serving.running_router import ask

ANN = AskedBy("ann's", "auto")


def key(
    body: dict[str, Any], asked_by: AskedBy = ANN, secret: bytes = b"s", longest_like: int = 2000
) -> AnswerKey | None:
    parse = parse_completion if "prompt" in body else parse_chat
    query = parse(pydantic_core.to_json(body)).query
    return answer_key(body, query, asked_by, secret, max_temperature=0.5, longest_like=longest_like)


def test_blanks_around_a_text_its_notation_and_who_asks_make_no_difference() -> None:
    plain = key(ask("What is it?"))
    assert plain is not None
    parts = [{"type": "text", "text": "What is it? "}]
    assert key({"model": "auto", "messages": [{"role": "user", "content": parts, "name": None}]}) == plain
    assert key(ask(" What is it?\n", user="ann", stream=True, metadata={"chat": "1"}, n=1, temperature=None)) == plain


@pytest.mark.parametrize(
    "other",
    [
        key(ask("What was it?")),
        key(ask("What is  it?")),
        key(ask("What is it?", temperature=0.2)),
        key(ask("What is it?", seed=1)),
        key(ask("What is it?"), AskedBy("bob's", "auto")),
        key(ask("What is it?"), AskedBy("ann's", "auto-cheap")),
        key(ask("What is it?"), AskedBy("ann's", "auto", (("task", 1),))),
        key(ask("What is it?"), secret=b"another"),
        key({"model": "auto", "prompt": "What is it?"}),
    ],
)
def test_all_that_is_read_and_whose_it_is_make_another_key(other: AnswerKey | None) -> None:
    same = key(ask("What is it?"))
    assert other is not None
    assert same is not None
    assert other.exact != same.exact


def test_questions_are_of_one_group_where_only_the_words_of_the_newest_message_differ() -> None:
    groups = [made.group for text in ("What is it?", "What was it?", "Why 2?", "So 3?") if (made := key(ask(text)))]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3
    told = {"model": "auto", "messages": [{"role": "system", "content": "Be brief."}, *ask("What is it?")["messages"]]}
    others = [key(told), key(ask("What is it?"), AskedBy("bob's", "auto")), key(ask("What is it?", max_tokens=9))]
    assert all(other is not None and other.group not in ("", groups[0]) for other in others)


def test_what_no_vector_tells_of_in_whole_is_of_no_group() -> None:
    made = key(ask("What is it?"), longest_like=5)
    assert made is not None
    assert made.group == ""
    pictured = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    two = key({"model": "auto", "messages": [{"role": "user", "content": pictured}]})
    assert two is not None
    assert two.group == ""


@pytest.mark.parametrize(
    "more",
    [
        {"temperature": 0.6},
        {"n": 2},
        {"logprobs": True},
        {"functions": [{"name": "f"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b", "tool_call_id": "c"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}, {"role": "user", "content": "a"}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
        {"prompt": [1, 2], "messages": None},
        {"prompt": ["a", "b"], "messages": None},
    ],
)
def test_what_asks_for_variety_or_for_more_than_text_has_no_key(more: dict[str, Any]) -> None:
    body = {name: value for name, value in {**ask("What is it?"), **more}.items() if value is not None}
    assert key(body) is None
