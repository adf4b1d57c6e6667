import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.judging.rubric import Rubric
from highwayman.feedback.judging.verdict import Score, Silence, read_preference, read_score


def answer(text: str | None, *positions: dict[str, float], finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A completion whose tokens have these probabilities, the first of each being the one chosen."""
    content = [
        {
            "token": next(iter(one)),
            "logprob": math.log(next(iter(one.values()))),
            "top_logprobs": [{"token": token, "logprob": math.log(share)} for token, share in one.items()],
        }
        for one in positions
    ]
    said = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {"choices": [{**said, "logprobs": {"content": content} if content else None}]}


def test_a_score_is_the_expectation_over_its_tokens() -> None:
    found = read_score(answer("4", {"4": 0.6, "5": 0.2, " 4": 0.1, "the": 0.1}), Rubric())
    mean = (4 * 0.7 + 5 * 0.2) / 0.9
    assert isinstance(found, Score)
    assert found.quality == pytest.approx((mean - 1) / 4)
    assert found.deviation == pytest.approx(math.sqrt((0.7 * (4 - mean) ** 2 + 0.2 * (5 - mean) ** 2) / 0.9) / 4)
    assert found.how == "logprobs"


def test_the_score_of_json_is_read_at_its_own_token() -> None:
    said = answer(
        '{"score": 2}', {'{"': 1.0}, {"score": 1.0}, {'":': 1.0}, {" ": 1.0}, {"2": 0.5, "3": 0.5}, {"}": 1.0}
    )
    found = read_score(said, Rubric(style="json"))
    assert isinstance(found, Score)
    assert found.quality == pytest.approx(1.5 / 4)


@pytest.mark.parametrize(
    ("text", "style", "quality"),
    [
        ("5", "digit", 1.0),
        (" 3.\n", "digit", 0.5),
        ('{"score": 1}', "json", 0.0),
        ('{"score": 4, "x": 1}', "json", 0.75),
    ],
)
def test_without_probabilities_the_words_are_read(text: str, style: Any, quality: float) -> None:
    assert read_score(answer(text), Rubric(style=style)) == Score(quality, 0.0, "text")


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("7", "digit"),
        ("I would give this a 4 or a 5", "digit"),
        ("10", "digit"),
        ("", "digit"),
        ("4", "json"),
        ('{"score": 4.5}', "json"),
        ('{"score": true}', "json"),
        ('{"score": "5"}', "json"),
        ('The answer says {"score": 5}', "json"),
    ],
)
def test_whatever_is_no_score_is_missing_and_never_zero(text: str, style: Any) -> None:
    assert read_score(answer(text), Rubric(style=style)) is Silence.JUNK


def test_too_little_probability_on_scores_is_no_score_by_probability() -> None:
    assert read_score(answer("So 4", {"4": 0.2, "the": 0.8}), Rubric()) is Silence.JUNK


@pytest.mark.parametrize("said", [answer("4", refusal="I cannot"), answer("4", finish="content_filter")])
def test_a_refusal_is_no_score(said: Any) -> None:
    assert read_score(said, Rubric()) is Silence.REFUSED
    assert read_preference(said) is Silence.REFUSED


def test_a_preference_is_the_probability_of_a() -> None:
    assert read_preference(answer("A", {"A": 0.6, "B": 0.2, "C": 0.2})) == pytest.approx(0.75)
    assert read_preference(answer("B")) == 0.0
    assert read_preference(answer("Both are fine")) is Silence.JUNK


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "logprobs", "top_logprobs", "token", "logprob", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(said=JSON, content=JSON, style=st.sampled_from(["digit", "json"]))
def test_no_answer_whatever_its_shape_makes_the_reader_fail(said: Any, content: Any, style: Any) -> None:
    for one in (said, {"choices": [{"message": {"content": "4"}, "logprobs": {"content": content}}]}):
        found = read_score(one, Rubric(style=style))
        assert isinstance(found, Silence) or 0.0 <= found.quality <= 1.0
        preference = read_preference(one)
        assert isinstance(preference, Silence) or 0.0 <= preference <= 1.0
