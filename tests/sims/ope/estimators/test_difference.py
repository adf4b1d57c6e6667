"""The interval of a difference where nothing is linearised, and where something is."""

import math

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.difference import Difference
from highwayman.sims.ope.estimators.ratios import ones
from highwayman.sims.ope.intervals.empirical_bernstein import EmpiricalBernstein
from highwayman.sims.ope.intervals.normal import Normal


def rounds(values: Floats, *, denominator: float = 1.0, high: float = 1.0) -> RoundValues:
    n = len(values)
    return RoundValues(values, np.full(n, denominator), ones(n), np.arange(n), 0.0, high)


def test_a_difference_has_the_bounds_that_its_two_sides_leave_it() -> None:
    rng, difference = np.random.default_rng(0), Difference(EmpiricalBernstein())
    first, second = rng.random(4000), 0.5 * rng.random(4000)
    difference.add(rounds(first), rounds(second, high=0.5))
    middle = 0.5 * (1.0 + first.mean() - second.mean())
    low, high = difference.ends.interval()
    assert low < middle < high
    assert (low + high) / 2 == pytest.approx(middle)
    assert difference.ends._high - difference.ends._low == pytest.approx(0.75)  # half of from -.5 to 1
    assert not difference.self_normalised


def test_a_linearised_difference_has_no_bounds_and_says_so() -> None:
    values = np.random.default_rng(0).random(100)
    first = Difference(EmpiricalBernstein())
    first.add(rounds(values, denominator=2.0), rounds(values))
    assert first.self_normalised
    linear = first.linearised(EmpiricalBernstein())
    linear.add(rounds(values, denominator=2.0), rounds(values))
    assert all(map(math.isnan, linear.ends.interval()))


@pytest.mark.parametrize("worths", [(20.0, 45.0), (45.0, 20.0), (0.0, 30.0)])
def test_a_policy_is_worse_than_another_by_what_that_is_better_than_it_whatever_they_are_worth(
    worths: tuple[float, float],
) -> None:
    rng, ends = np.random.default_rng(0), []
    who, ratio = np.arange(80), rng.random((2, 80)) * 2
    rounds = [RoundValues(one * rng.random(80), ones(80), one, who, 0.0, 2.0) for one in ratio]
    for order in (1, -1):
        difference = Difference(Normal())
        difference.add(*rounds[::order])
        plain = difference.ends.interval()
        difference.steady(worths[::order])
        ends.append(difference.ends.interval())
        assert ends[-1][1] - ends[-1][0] > plain[1] - plain[0]
    (low, high), (other_low, other_high) = ends
    assert (low, high) == pytest.approx((1.0 - other_high, 1.0 - other_low))
