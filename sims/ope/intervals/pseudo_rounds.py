"""Rounds that nobody logged, added where few were: an interval in the limit of many is too narrow on few."""

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np

from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.estimators.ratios import ones

_REWARDS: Final = np.array([0.0, 1.0, 0.0, 1.0])


@runtime_checkable
class SteadiedInterval(Protocol):
    """An interval that is right in the limit of many rounds, and can take pseudo-rounds to be right on fewer."""

    def steady(self, rounds: RoundValues) -> None:
        """Take pseudo-rounds after the last real one; they do not count as sessions of their own."""


def pseudo_rounds(value: float, mean_denominator: float, weights: Sequence[float]) -> RoundValues:
    """Return one of the worst rounds, one of the best, and the same again, for values in [0, 1].

    For one value all four count: Agresti & Coull, "Approximate is Better than 'Exact' for Interval Estimation of
    Binomial Proportions", The American Statistician 1998. For a difference two count for each: Agresti & Caffo, "Simple
    and Effective Confidence Intervals for Proportions", ibid. 2000. Both with effective rounds for trials: where 60 of
    them were all good, nothing varies, and the plain interval has width 0. Ends move by O(1 / effective rounds).

    Args:
        value: the estimate.
        mean_denominator: of the real rounds.
        weights: of each of the four, in units of the denominators.
    """
    numerator = value * mean_denominator + np.asarray(weights) * (_REWARDS - value)
    n = len(_REWARDS)
    return RoundValues(numerator, np.full(n, mean_denominator), ones(n), np.arange(n) - 2**62, -np.inf, np.inf)
