from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.judge.pairwise import is_consistent, parse_choice, position_bias, preference_share
from tests.feedback.judge.cases import COMPLETIONS, completion


def test_a_choice_is_the_probability_of_a_all_spellings_summed() -> None:
    found = parse_choice(completion("A", {"A": 0.4, " A": 0.2, "B": 0.2, "C": 0.2}))
    assert found == (pytest.approx(0.75), "logprobs")


@pytest.mark.parametrize(("text", "probability"), [("A", 1.0), (" B.\n", 0.0), ("**A**", 1.0), ("(B)", 0.0)])
def test_without_probabilities_a_lone_letter_is_read(text: str, probability: float) -> None:
    assert parse_choice(completion(text)) == (probability, "text")


@pytest.mark.parametrize("text", ["Both", "A or B", "a", "", "Answer A", "AB"])
def test_whatever_is_no_letter_is_junk(text: str) -> None:
    assert parse_choice(completion(text)) == "junk"


def test_a_letter_further_on_is_no_choice() -> None:
    assert parse_choice(completion("It says A", {"It": 1.0}, {" says": 1.0}, {" A": 1.0})) == "junk"


def test_a_choice_in_json_is_read_at_its_own_token() -> None:
    said = completion('{"better": "A"}', {'{"': 1.0}, {"better": 1.0}, {'":': 1.0}, {' "': 1.0}, {"A": 0.6, "B": 0.2})
    assert parse_choice(said) == (pytest.approx(0.75), "logprobs")
    assert parse_choice(completion('{"better": "B"}')) == (0.0, "text")


@pytest.mark.parametrize("text", ['{"better": "C"}', '{"better": "A", "why": "x"}', '{"better": ["A"]}'])
def test_json_that_is_no_choice_is_junk(text: str) -> None:
    assert parse_choice(completion(text)) == "junk"


def test_a_refusal_is_no_choice() -> None:
    assert parse_choice(completion("A", refusal="no")) == "refused"


@settings(max_examples=300, deadline=None)
@given(COMPLETIONS)
def test_no_answer_whatever_its_shape_makes_the_reader_fail(said: Any) -> None:
    found = parse_choice(said)
    assert found in {"junk", "refused"} if isinstance(found, str) else 0.0 <= found[0] <= 1.0


def test_a_judge_that_always_takes_the_first_place_prefers_neither() -> None:
    assert (preference_share(1.0, 1.0), position_bias(1.0, 1.0), is_consistent(1.0, 1.0)) == (0.5, 1.0, False)


def test_a_judge_that_finds_the_better_answer_in_both_places_prefers_it() -> None:
    assert (preference_share(1.0, 0.0), position_bias(1.0, 0.0), is_consistent(1.0, 0.0)) == (1.0, 0.0, True)


def test_a_judge_that_does_not_know_agrees_with_nobody() -> None:
    assert not is_consistent(0.5, 0.2)


@given(better=st.floats(0.2, 0.8), lean=st.floats(-0.2, 0.2))
def test_a_lean_that_is_the_same_in_both_orders_cancels(better: float, lean: float) -> None:
    served_first, other_first = better + lean, 1.0 - better + lean
    assert preference_share(served_first, other_first) == pytest.approx(better)
    assert position_bias(served_first, other_first) == pytest.approx(2.0 * lean)


@given(one=st.floats(0.0, 1.0), two=st.floats(0.0, 1.0))
def test_exchanging_the_answers_exchanges_their_shares(one: float, two: float) -> None:
    assert preference_share(one, two) + preference_share(two, one) == pytest.approx(1.0)
