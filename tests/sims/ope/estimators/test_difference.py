"""The interval of a difference where nothing is linearised, and where something is."""

import math

import numpy as np
import pytest

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.difference import Difference
from highwayman.sims.ope.estimators.ratios import ones
from highwayman.sims.ope.intervals.empirical_bernstein import EmpiricalBernstein


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
