from typing import Any

import pytest

from highwayman.env.upstream.answers.answer_text import AnswerText

FUNCTION = {"name": "find", "arguments": '{"x":1}'}


def read(*answers: Any) -> AnswerText:
    text = AnswerText()
    for answer in answers:
        text.add(answer)
    return text


@pytest.mark.parametrize("part", ["message", "delta"])
@pytest.mark.parametrize(
    ("said", "sample"),
    [
        ({"content": "hello"}, "hello"),
        ({"content": [{"type": "text", "text": "he"}, "llo", {"type": "image"}]}, "hello"),
        ({"refusal": "no"}, "no"),
        ({"content": "b", "reasoning_content": "a"}, "ba"),
        ({"reasoning": "thought"}, "thought"),
        ({"reasoning": "twice", "reasoning_content": "twice"}, "twice"),
        ({"tool_calls": [{"function": FUNCTION}, {"function": FUNCTION}, "odd"]}, 'find{"x":1}' * 2),
        ({"function_call": FUNCTION}, 'find{"x":1}'),
        ({"content": None, "tool_calls": None, "function_call": "odd"}, ""),
    ],
)
def test_all_that_an_answer_says_is_counted_once_whole_or_in_pieces(
    part: str, said: dict[str, Any], sample: str
) -> None:
    text = read({"choices": [{part: said}]})
    assert (text.sample, text.chars, text.pieces) == (sample, len(sample), bool(sample))


def test_the_words_of_all_choices_are_counted_each_choice_as_a_piece_if_it_says_something() -> None:
    text = read({"choices": [{"text": "one"}, {"text": ""}, {"text": "three"}]}, {"choices": [{"text": "four"}]})
    assert (text.sample, text.chars, text.pieces) == ("onethreefour", 12, 3)


@pytest.mark.parametrize("odd", [None, [], "text", {}, {"choices": None}, {"choices": ["x"]}, {"choices": {"a": 1}}])
def test_what_has_another_shape_says_nothing(odd: Any) -> None:
    text = read(odd)
    assert (text.sample, text.chars, text.pieces) == ("", 0, 0)


def test_of_a_long_answer_all_is_counted_and_the_beginning_kept() -> None:
    text = read(*({"choices": [{"text": letter * 8_000}]} for letter in "abcd"))
    assert (text.chars, text.pieces) == (32_000, 4)
    assert text.sample == "a" * 8_000 + "b" * 8_000 + "c" * 4_000
