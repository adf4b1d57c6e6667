"""Sums of round-wise values over sessions, in memory that does not grow with the log."""

import math

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.intervals.session_hash import hashed

BUCKETS = 1 << 16
_SALT = 1


class SessionSums:
    """Numerators and denominators, summed over the rounds of a session.

    Sessions are filed by hash in 65,536 buckets (1 MiB), so a log of any length fits. Two sessions that share a bucket
    are taken for one; the hash knows nothing of their rounds, so variances stay right in expectation and only become a
    little noisier: as if there were at most 65,536 sessions.
    """

    def __init__(self) -> None:
        self._numerators = np.zeros(BUCKETS)
        self._denominators = np.zeros(BUCKETS)

    def add(self, rounds: RoundValues) -> None:
        """File the next rounds."""
        if len(rounds.numerator):
            bucket = (hashed(rounds.sessions, salt=_SALT) >> np.uint64(48)).astype(np.intp)
            self._numerators += np.bincount(bucket, rounds.numerator, minlength=BUCKETS)
            self._denominators += np.bincount(bucket, rounds.denominator, minlength=BUCKETS)

    def occupied(self) -> tuple[Floats, Floats, Floats]:
        """Return index, numerator and denominator of the m buckets that hold anything, three arrays (m,)."""
        index = np.flatnonzero((self._denominators != 0) | (self._numerators != 0))
        return index.astype(np.float64), self._numerators[index], self._denominators[index]

    def total(self) -> float:
        """Return the sum of the denominators."""
        return float(self._denominators.sum())

    def value(self) -> float:
        """Return sum(numerator) / sum(denominator); NaN without rounds, or where the target met none of them."""
        total = self.total()
        return float(self._numerators.sum()) / total if total > 0 else math.nan

    def stderr(self) -> tuple[float, int]:
        """Return the clustered standard error of the value, and of how many sessions it was computed.

        The sandwich of a ratio of means (Liang & Zeger, Biometrika 1986, with independence as the working model):
        sqrt(m / (m - 1) * sum_s (N_s - value * D_s)^2) / sum_s D_s, over sessions s. NaN for fewer than two sessions.
        """
        _, numerators, denominators = self.occupied()
        m = len(numerators)
        if m < 2 or not denominators.sum() > 0:
            return math.nan, m
        residuals = numerators - self.value() * denominators
        return float(np.sqrt(m / (m - 1) * (residuals @ residuals)) / denominators.sum()), m
