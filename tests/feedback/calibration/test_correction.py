"""What one statement is worth, from counts that are small enough to work out by hand."""

import math

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.feedback.calibration.correction import CalibratedScore, Correction, fit_correction
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.ppi import QualityEstimates, pooled_quality, ppi_estimates
from highwayman.feedback.calibration.response_rates import ResponseRates, estimate_response_rates

NOBODY = np.zeros(2)


def rates(good: float = 0.02, bad: float = 0.08, *, identified: bool = True) -> ResponseRates:
    return ResponseRates(good, bad, 0.0, identified=identified, influence=NOBODY)


def estimates(*values: float) -> QualityEstimates:
    count = len(values)
    return QualityEstimates(np.array(values), np.full(count, 0.1), np.eye(count) * 0.01)


def correction(known: ResponseRates, *values: float) -> Correction:
    """Of scores in four bins by two arms, of which nobody ever rated the second."""
    return Correction(
        ("a", "b"), np.array([0.1, 0.3, 0.6, 0.9]), np.array([0.05, -0.2]), {("a", 3): 0.1}, np.array([0.25, 0.0]),
        estimates(*values), known, 100.0, {"a": 0, "b": 1},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("score", "kind", "quality"),
    [(0.0, 0, 0.15), (0.249, 0, 0.15), (0.25, 0, 0.35), (0.3, 3, 0.45), (0.74, 1, 0.65), (1.0, 0, 0.95), (1.0, 3, 1.0)],
)
def test_a_score_is_worth_what_its_bin_means_and_the_arms_bias_and_the_kinds(
    score: float, kind: int, quality: float
) -> None:
    calibrated = correction(rates()).calibrate("a", score, kind=kind)
    assert calibrated == CalibratedScore(pytest.approx(quality), 0.25)


@pytest.mark.parametrize("arm", ["b", "unheard-of"])
def test_of_an_arm_that_nobody_rated_a_score_says_nothing(arm: str) -> None:
    assert correction(rates()).calibrate(arm, 0.5, kind=3) is None


def test_a_thumb_weighs_by_how_rarely_such_answers_get_one_and_one_on_average() -> None:
    # Of 1,000 answers 600 are good and get 12 ups; 400 are bad and get 32 downs.
    known = correction(rates(), 0.5, 0.7)
    up, down = (known.thumb_weight(up=up, clip=10.0) for up in (True, False))
    assert up / down == pytest.approx(0.08 / 0.02)
    assert (12 * up + 32 * down) / 44 == pytest.approx(1.0)
    assert known.thumb_weight(up=True, clip=2.0) == 2.0
    assert known.thumb_weight(up=False, clip=1.25) == 0.8


def test_thumbs_weigh_alike_where_nobody_knows_who_gives_them() -> None:
    unknown = correction(rates(identified=False), 0.6)
    assert [unknown.thumb_weight(up=up, clip=10.0) for up in (True, False)] == [1.0, 1.0]


def test_half_of_all_answers_are_taken_for_good_where_no_arm_has_any() -> None:
    known = correction(rates())
    ups, downs = 0.5 * 0.02, 0.5 * 0.08
    up, down = (known.thumb_weight(up=up, clip=10.0) for up in (True, False))
    assert (ups * up + downs * down) / (ups + downs) == pytest.approx(1.0)


# By arm and tenth of the score: answers, ups, downs. What a score of .35 means is less than what one of .85 does.
ROWS = (("a", 0.35, 400, 40, 80), ("a", 0.85, 400, 100, 20), ("b", 0.35, 200, 30, 30), ("b", 0.85, 600, 120, 10),
        ("unrated", 0.85, 50, 0, 0))  # fmt: skip


def counts(*rows: tuple[str, float, int, int, int]) -> CountTable:
    arms = list(dict.fromkeys(row[0] for row in rows))
    answers: list[tuple[int, float, bool | None]] = []
    for arm, score, scored, ups, downs in rows:
        thumbs = [True] * ups + [False] * downs + [None] * (scored - ups - downs)
        answers += [(arms.index(arm), score, thumb) for thumb in thumbs]
    return CountTable.from_answers(arms, answers)


def fitted(cells: CountTable, kinds: dict[int, CountTable] | None = None) -> Correction:
    made = fit_correction(cells, kinds or {}, flip=0.0)
    assert made is not None
    return made


def score_means(cells: CountTable, meaning: Floats) -> Floats:
    means: Floats = (cells.scored * meaning).sum(axis=1) / cells.scored.sum(axis=1)
    return means


def test_an_arms_bias_is_what_its_mean_lies_above_what_its_scores_mean_as_far_as_that_is_known() -> None:
    cells = counts(*ROWS)
    made, known = fitted(cells), estimate_response_rates(cells, flip=0.0)
    found = ppi_estimates(cells, known)
    raw = found.value - score_means(cells, pooled_quality(cells, known))
    for place in (0, 1):
        share = 0.1**2 / (0.1**2 + found.stderr[place] ** 2)
        assert 0.5 < share < 1
        assert made.bias[place] == pytest.approx(share * raw[place])
    assert made.bias[0] < -0.01  # its low scores got fewer ups than b's
    assert made.bias[1] > 0.01


def test_all_scores_of_an_arm_weigh_as_many_thumbs_as_its_mean_is_worth_and_none_without_thumbs() -> None:
    cells = counts(*ROWS)
    made = fitted(cells)
    for place in (0, 1):
        value, stderr = made.estimates.value[place], made.estimates.stderr[place]
        assert made.weight[place] * cells.scored[place].sum() == pytest.approx(value * (1 - value) / stderr**2)
    assert (made.weight[:2] < 1).all()
    assert made.weight[2] == 0.0
    assert made.calibrate("unrated", 0.85, kind=0) is None


def test_no_score_weighs_more_than_a_thumb() -> None:
    assert fitted(counts(("a", 0.35, 30, 10, 20), ("a", 0.85, 30, 20, 10))).weight.tolist() == [1.0]


def test_a_kind_of_query_is_corrected_beside_its_arms_bias_and_by_how_many_thumbs_it_has() -> None:
    cells = counts(*ROWS)
    kinds = {
        4: counts(("a", 0.35, 100, 30, 2)),  # liked more than the arm's other answers
        5: counts(("a", 0.35, 100, 2, 30)),
        6: counts(("a", 0.35, 10, 3, 0)),  # as 4, but for how few they are
        7: counts(("a", 0.35, 100, 0, 0)),
        8: counts(("a", 0.35, 100, 0, 1)),
    }
    made = fitted(cells, kinds)
    assert set(made.by_kind) == {("a", 4), ("a", 5), ("a", 6), ("a", 8)}
    assert made.by_kind["a", 4] > 0.1
    assert made.by_kind["a", 5] < 0
    assert 0 < made.by_kind["a", 6] < made.by_kind["a", 4]
    raw = ppi_estimates(kinds[6], rates(made.rates.good, made.rates.bad)).value[0] - made.meaning[3] - made.bias[0]
    stderr = max(0.5 / math.sqrt(3), ppi_estimates(kinds[6], rates(made.rates.good, made.rates.bad)).stderr[0])
    assert made.by_kind["a", 6] == pytest.approx(raw * 0.01 / (0.01 + stderr**2), rel=0.01)


@pytest.mark.parametrize(("thumbs", "known"), [(19, False), (20, True)])
def test_a_source_is_worth_nothing_before_twenty_thumbs_on_what_it_scored(thumbs: int, known: bool) -> None:
    made = fit_correction(counts(("a", 0.5, 100, thumbs, 0)), {}, flip=0.0)
    assert (made is not None) == known
    assert made is None or made.thumbs == thumbs
