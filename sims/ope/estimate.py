"""What an off-policy estimate is: round-wise values, a mean, an interval, and whether the log can tell at all."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData


@dataclass(frozen=True, slots=True, eq=False)
class RoundValues:
    """An estimator's values on n rounds: the estimate is sum(numerator) / sum(denominator).

    For every estimator but the self-normalised ones the denominator is 1. The values lie in [low, high], or the
    interval that needs bounds refuses.
    """

    numerator: Floats  # (n,)
    denominator: Floats  # (n,)
    ratio: Floats  # (n,) importance ratio of the action taken, as weighed: target probability over propensity
    sessions: np.ndarray[tuple[int], np.dtype[np.int64]]  # (n,)
    low: float
    high: float
    martingale: bool = False  # given all that came before a round, ratio * reward is expected to be the value

    def weighted(self, weights: Floats) -> "RoundValues":
        """Return the values of rounds that count as much as `weights` (n,) says: of 1 each, as they are."""
        if (weights == 1.0).all():
            return self
        sums = (weights * self.numerator, weights * self.denominator, weights * self.ratio)
        return replace(self, numerator=sums[0], denominator=sums[1], ratio=sums[2], martingale=False)


class Estimator(Protocol):
    """An off-policy estimator, one file each; what it must learn of the log first, it learns in `fit`."""

    def fit(self, log: LoggedData) -> None:
        """Learn what the estimator needs of a chunk of the log (a reward model); may be called for several chunks."""

    def rounds(self, log: LoggedData, target: Floats) -> RoundValues:
        """Return the round-wise values of a chunk of the log for the policy with probabilities `target` (n, K)."""


class Interval(Protocol):
    """Turns round-wise values, fed in chunks in log order, into an interval."""

    def add(self, rounds: RoundValues) -> None:
        """Take the next rounds."""

    def interval(self) -> tuple[float, float]:
        """Return the lower and the upper end, NaN where nothing can be said."""


@dataclass(frozen=True, slots=True)
class Support:
    """Whether the log holds what the target policy would have done."""

    n: int  # rounds with a reward
    censored: int  # rounds without
    ess: float  # effective sample size: (sum ratio)^2 / sum ratio^2 (Kong 1992)
    mean_ratio: float  # 1 in expectation, where propensities are right and support is full
    max_ratio: float
    unsupported: float  # mean probability that the target gives to arms the log could not have drawn


@dataclass(frozen=True, slots=True)
class Estimate:
    """A policy's value, in the reward's units, with its interval; `refused` says why the log cannot tell."""

    value: float
    stderr: float
    low: float
    high: float
    support: Support
    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
