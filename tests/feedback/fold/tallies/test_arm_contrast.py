import itertools
import math

import numpy as np
import pytest

from highwayman.env.types import ControlDraw
from highwayman.feedback.fold.tallies.arm_contrast import BaselineContrast, ContrastSums


def known(sums: ContrastSums) -> BaselineContrast:
    contrast = sums.contrast()
    assert contrast is not None
    return contrast


def test_where_the_policy_never_takes_the_baselines_arm_the_means_are_those_of_the_two_groups() -> None:
    sums = ContrastSums()
    for usd in (4.0, 6.0):  # the slice's: drawn with probability .1, all of it the slice's
        sums.add(ControlDraw(0.1, 1.0, is_control=True), 0.1, usd)
    for usd in (1.0, 2.0, 3.0):
        sums.add(ControlDraw(0.1, 0.0, is_control=False), 0.9, usd)
    contrast = known(sums)
    assert (contrast.n, contrast.drawn, contrast.effective) == (5, 2, pytest.approx(2.0))
    assert contrast.baseline == pytest.approx(5.0)
    assert contrast.policy == pytest.approx(2.0)
    # Mean squared deviations over the numbers of draws: 1 of two, 2/3 of three.
    assert contrast.stderr == pytest.approx(math.sqrt(1 / 2 + (2 / 3) / 3))


def test_a_draw_of_the_policys_that_took_the_baselines_arm_tells_of_the_baseline_too() -> None:
    sums = ContrastSums()
    sums.add(ControlDraw(0.1, 1.0, is_control=False), 0.5, 4.0)
    sums.add(ControlDraw(0.1, 0.0, is_control=False), 0.5, 1.0)
    assert known(sums).baseline == pytest.approx(4.0)
    # The policy's probabilities are (.5 - .1) / .9 and .5 / .9: its weights 8/9 and 10/9.
    assert known(sums).policy == pytest.approx((8 * 4.0 + 10 * 1.0) / 18)


def test_what_was_added_can_be_taken_away_in_any_order() -> None:
    drawn = [(ControlDraw(0.2, p, is_control=p == 1.0), q, y) for p, q, y in ((1.0, 0.3, 2.0), (0.0, 0.7, 5.0))]
    for order in itertools.permutations(drawn):
        sums = ContrastSums()
        for draw, propensity, value in order:
            sums.add(draw, propensity, value, weight=0.5)
        sums.add(ControlDraw(0.2, 1.0, is_control=True), 0.4, 9.0, weight=2.0)
        sums.add(ControlDraw(0.2, 1.0, is_control=True), 0.4, 9.0, weight=-2.0)
        assert sums.sums == pytest.approx(_sums_of(drawn))
        assert ContrastSums.from_json(sums.to_json()) == sums


def _sums_of(drawn: list[tuple[ControlDraw, float, float]]) -> list[float]:
    sums = ContrastSums()
    for draw, propensity, value in drawn:
        sums.add(draw, propensity, value, weight=0.5)
    return sums.sums


def test_the_baselines_cost_is_told_without_bias_where_the_policy_prefers_it_for_dear_queries() -> None:
    """Of those the policy sends to the baseline's arm, each costs more than of those it does not."""
    rng, truth, told = np.random.default_rng(0), [], []
    for _ in range(40):
        sums = ContrastSums()
        dear = rng.random(1000) < 0.5
        for is_dear in dear.tolist():
            of_policy = 0.8 if is_dear else 0.1
            prob = 0.95 * of_policy + 0.05
            took = rng.random() < prob
            usd = (3.0 if is_dear else 1.0) if took else 0.5
            sums.add(ControlDraw(0.05, float(took), is_control=False), prob if took else 1 - prob, usd)
        truth.append(np.where(dear, 3.0, 1.0).mean())
        told.append(known(sums).baseline)
    assert np.mean(told) == pytest.approx(np.mean(truth), abs=0.03)


@pytest.mark.parametrize("damaged", [[1.0], ["x"] * 15, [math.nan] * 15])
def test_damaged_sums_are_refused(damaged: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite sums|could not convert"):
        ContrastSums.from_json(damaged)
