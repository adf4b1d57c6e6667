"""How much more one policy earns than another, on the same rounds."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Final

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import Interval, RoundValues
from highwayman.sims.ope.estimators.ratios import ones
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.pseudo_rounds import SteadiedInterval, pseudo_rounds
from highwayman.sims.ope.intervals.session_sums import SessionSums

_PLAIN: Final = (0.0, 1.0, 0.0, 1.0)


class Difference:
    """Sums and interval of (1 + difference) / 2, which like a reward lies in [0, 1]."""

    def __init__(self, interval: Interval, *, centres: tuple[float, float, float, float] = _PLAIN) -> None:
        """Start without rounds.

        Args:
            interval: a fresh one; it is copied.
            centres: value and mean denominator of the one policy and of the other, where a ratio is linearised.
        """
        self.sums = SessionSums()
        self.ends = deepcopy(interval)
        self.self_normalised = False  # whether any round had another denominator than 1
        self._centres = centres
        self._value_sums = SessionSums(), SessionSums()
        self._totals = np.zeros(3)  # both denominators, and rounds

    def add(self, first: RoundValues, second: RoundValues) -> None:
        """Take the same rounds as both policies' estimators value them."""
        for sums, rounds in zip(self._value_sums, (first, second), strict=True):
            sums.add(rounds)
            self.self_normalised |= not (rounds.denominator == 1).all()
        self._totals += first.denominator.sum(), second.denominator.sum(), len(first.numerator)
        paired = self._paired(first, second)
        self.sums.add(paired)
        self.ends.add(_hedged(first, second) if isinstance(self.ends, ConfidenceSequence) else paired)

    def steady(self, effective_rounds: Sequence[float]) -> None:
        """Widen the interval where a policy's rounds are worth few of its own; of the one that logged, nothing is said.

        To be called after the last round, with the effective rounds of the first policy, and of the other one.
        """
        if not isinstance(self.ends, SteadiedInterval):
            return
        means = self._totals[:2] / max(self._totals[2], 1.0)
        worths = [
            float(total) / ess if ess > 0 else 0.0 for total, ess in zip(self._totals, effective_rounds, strict=False)
        ]
        first = [worths[0], worths[0], 0.0, 0.0]
        second = [float(means[1])] * 4 if len(worths) == 1 else [0.0, 0.0, worths[1], worths[1]]
        pair = [
            pseudo_rounds(float(np.nan_to_num(sums.value())), float(mean), weights)
            for sums, mean, weights in zip(self._value_sums, means, (first, second), strict=True)
        ]
        self.ends.steady(self._paired(pair[0], pair[1]))

    def linearised(self, interval: Interval) -> "Difference":
        """Return an empty difference, linearised at the values of the rounds so far."""
        shares = self._totals[:2] / max(self._totals[2], 1.0)
        values = [float(np.nan_to_num(sums.value())) for sums in self._value_sums]
        first, second = (float(share) if share > 0 else 1.0 for share in shares)
        return Difference(interval, centres=(values[0], first, values[1], second))

    def _paired(self, first: RoundValues, second: RoundValues) -> RoundValues:
        value, share, other_value, other_share = self._centres
        moved = _influence(first, value, share) - _influence(second, other_value, other_share)
        plain = self._centres == _PLAIN
        low, high = (first.low - second.high, first.high - second.low) if plain else (-math.inf, math.inf)
        numerator = 0.5 * (1.0 + (value - other_value) + moved)
        n = len(numerator)
        ratio = 0.5 * (first.ratio + second.ratio)
        return RoundValues(numerator, ones(n), ratio, first.sessions, 0.5 * (1.0 + low), 0.5 * (1.0 + high))


def as_logged(log: LoggedData) -> RoundValues:
    """Return the rounds as the policy that logged them earned: every ratio is 1."""
    n = log.n
    return RoundValues(log.rewards, ones(n), ones(n), log.sessions, 0.0, 1.0, martingale=True)


def _influence(rounds: RoundValues, value: float, share: float) -> Floats:
    moved: Floats = (rounds.numerator - value * rounds.denominator) / share
    return moved


def _hedged(first: RoundValues, second: RoundValues) -> RoundValues:
    """Return w r + w' (1 - r), halved: nonnegative, with mean (1 + difference) / 2, and w (1 - r) + w' r left over."""
    ratio = 0.5 * (first.ratio + second.ratio)
    numerator = 0.5 * (first.numerator + second.ratio - second.numerator)
    martingale = first.martingale and second.martingale
    return RoundValues(numerator, ones(len(ratio)), ratio, first.sessions, 0.0, math.inf, martingale=martingale)
