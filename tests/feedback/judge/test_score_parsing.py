import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.judge.score_parsing import ParsedScore, parse_score
from highwayman.feedback.judge.settings import JudgeSettings
from tests.feedback.judge.cases import COMPLETIONS, completion

DIGIT, AS_JSON = JudgeSettings(style="digit"), JudgeSettings(style="json")


def test_a_score_is_the_expectation_over_its_tokens_all_spellings_summed() -> None:
    found = parse_score(completion("4", {"4": 0.5, " 4": 0.1, '"4"': 0.1, "5": 0.2, "the": 0.1}), DIGIT)
    mean = (4 * 0.7 + 5 * 0.2) / 0.9
    assert isinstance(found, ParsedScore)
    assert found.quality == pytest.approx((mean - 1) / 4)
    assert found.stderr == pytest.approx(math.sqrt((0.7 * (4 - mean) ** 2 + 0.2 * (5 - mean) ** 2) / 0.9) / 4)
    assert found.mass == pytest.approx(0.9)
    assert found.how == "logprobs"


def test_a_score_counts_though_a_word_was_likelier_than_any_single_score() -> None:
    found = parse_score(completion("The", {"The": 0.4, "4": 0.3, "5": 0.3}), DIGIT)
    assert isinstance(found, ParsedScore)
    assert found.quality == pytest.approx(3.5 / 4)


def test_the_score_of_json_is_read_at_its_own_token() -> None:
    places = [{'{"': 1.0}, {"score": 1.0}, {'":': 1.0}, {" ": 1.0}, {"2": 0.5, "3": 0.5}, {"}": 1.0}]
    found = parse_score(completion('{"score": 2}', *places), AS_JSON)
    assert isinstance(found, ParsedScore)
    assert found.quality == pytest.approx(1.5 / 4)


def test_a_sampled_score_that_is_not_among_the_listed_tokens_counts_once() -> None:
    said = completion("2", {"2": 0.6})
    said["choices"][0]["logprobs"]["content"][0]["top_logprobs"] = [{"token": "4", "logprob": math.log(0.2)}]
    found = parse_score(said, DIGIT)
    assert isinstance(found, ParsedScore)
    assert found.quality == pytest.approx((0.6 * 1 + 0.2 * 3) / 0.8 / 4)


@pytest.mark.parametrize(
    ("text", "chosen", "quality"),
    [
        ("5", DIGIT, 1.0),
        (" 3.\n", DIGIT, 0.5),
        ("**4**", DIGIT, 0.75),
        ('{"score": 1}', AS_JSON, 0.0),
        ('```json\n{"score": 4}\n```', AS_JSON, 0.75),
    ],
)
def test_without_probabilities_the_words_are_read(text: str, chosen: JudgeSettings, quality: float) -> None:
    assert parse_score(completion(text), chosen) == ParsedScore(quality, None, "text", None)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        *[(text, DIGIT) for text in ("", "7", "0", "-4", "10", "4.5", "4/5", "IV", "٤", "I would give a 4 or a 5")],
        *[(text, AS_JSON) for text in ("4", '{"score": 4.5}', '{"score": true}', '{"score": "5"}', '{"score": 6}')],
        *[(text, AS_JSON) for text in ('{"score": 1, "score": 5}', '{"score": 4, "x": 1}', '[["score", 5]]', "{}")],
    ],
)
def test_whatever_is_no_score_is_junk_and_never_zero(text: str, chosen: JudgeSettings) -> None:
    assert parse_score(completion(text), chosen) == "junk"


@pytest.mark.parametrize("chosen", [DIGIT, AS_JSON])
@pytest.mark.parametrize(
    "places",
    [
        [{"The": 1.0}, {" answer": 1.0}, {" says": 1.0}, {' {"': 1.0}, {"score": 1.0}, {'":': 1.0}, {"5": 1.0}],
        [{'"': 1.0}, {"5": 1.0}, {'"': 1.0}, {" it": 1.0}, {" says": 1.0}],
    ],
)
def test_a_score_that_the_judge_quotes_from_the_answer_is_not_its_own(
    chosen: JudgeSettings, places: list[dict[str, float]]
) -> None:
    text = "".join(next(iter(one)) for one in places)
    assert parse_score(completion(text, *places), chosen) == "junk"


@pytest.mark.parametrize(("text", "finish"), [("10", "stop"), ("4.", "length"), ("4,5", "stop")])
def test_the_first_digit_of_a_longer_number_is_no_score(text: str, finish: str) -> None:
    places = [{one: 1.0} for one in text]
    assert parse_score(completion(text, *places, finish=finish), DIGIT) == "junk"


def test_with_little_probability_on_scores_only_the_words_count() -> None:
    assert parse_score(completion("4", {"4": 0.3, "the": 0.2}), DIGIT) == ParsedScore(0.75, None, "text", None)
    assert parse_score(completion("So 4", {"So": 0.8, "4": 0.2}), DIGIT) == "junk"


@pytest.mark.parametrize(
    "said",
    [
        completion("4", refusal="I cannot"),
        completion("4", finish="content_filter"),
        {"error": {"code": "content_filter"}},
    ],
)
def test_a_refusal_is_no_score(said: Any) -> None:
    assert parse_score(said, DIGIT) == "refused"


@settings(max_examples=400, deadline=None)
@given(said=COMPLETIONS, chosen=st.sampled_from([DIGIT, AS_JSON]))
def test_no_answer_whatever_its_shape_makes_the_reader_fail(said: Any, chosen: JudgeSettings) -> None:
    found = parse_score(said, chosen)
    if isinstance(found, ParsedScore):
        assert 0.0 <= found.quality <= 1.0
        assert found.stderr is None or 0.0 <= found.stderr <= 1.0
    else:
        assert found in {"junk", "refused"}


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 7.0, 10**400, True, None, "0", [0]])
def test_odd_log_probabilities_leave_the_words(odd: Any) -> None:
    said = completion("4", {"4": 1.0})
    said["choices"][0]["logprobs"]["content"][0] = {"token": "4", "logprob": odd, "top_logprobs": None}
    assert parse_score(said, DIGIT) == ParsedScore(0.75, None, "text", None)


@given(st.dictionaries(st.sampled_from("12345"), st.floats(1e-6, 1.0), min_size=1))
def test_a_quality_lies_between_the_best_and_the_worst_score_considered(shares: dict[str, float]) -> None:
    whole = sum(shares.values())
    found = parse_score(completion("x", {name: share / whole for name, share in shares.items()}), DIGIT)
    assert isinstance(found, ParsedScore)
    low, high = (DIGIT.quality(int(one)) for one in (min(shares), max(shares)))
    assert low - 1e-9 <= found.quality <= high + 1e-9
