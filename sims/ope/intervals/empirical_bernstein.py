"""An interval that holds at any sample size, for values within known bounds."""

import math

from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.intervals.normal import checked_level


class EmpiricalBernstein:
    """mean +- range * (sqrt(2 V ln(4 / alpha) / n) + 7 ln(4 / alpha) / (3 (n - 1))), V the sample variance on [0, 1].

    Maurer & Pontil, "Empirical Bernstein Bounds and Sample-Variance Penalization", COLT 2009, theorem 4, once for each
    side. No limit theorem and no tail is left out, so it is wide: the range is that of the importance ratio, which the
    estimator must have been told (`max_ratio`, or a cap). It takes rounds for independent, which several rounds of one
    person and a logging policy that learned while logging break. Of an estimator with a cap it bounds what the
    estimator expects, not the value.
    """

    def __init__(self, *, level: float = 0.95) -> None:
        """Start without rounds. Raises ValueError for a level outside (0, 1)."""
        self._tail = math.log(4 / (1 - checked_level(level)))
        self._n = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of squared deviations from the mean
        self._low, self._high = math.inf, -math.inf

    def add(self, rounds: RoundValues) -> None:
        """Take the next rounds. Raises ValueError where a value lies outside the bounds that the rounds state."""
        values = rounds.numerator
        m = len(values)
        if m == 0:
            return
        bounded = bool((rounds.denominator == 1).all())
        self._low = min(self._low, rounds.low if bounded else -math.inf)
        self._high = max(self._high, rounds.high if bounded else math.inf)
        if bounded and not (values.min() >= rounds.low - 1e-9 and values.max() <= rounds.high + 1e-9):
            raise ValueError(
                f"values lie in [{values.min()}, {values.max()}], beyond the stated [{rounds.low}, {rounds.high}]"
            )
        mean = float(values.mean())
        gap = mean - self._mean
        self._squares += float(((values - mean) ** 2).sum()) + gap**2 * self._n * m / (self._n + m)
        self._mean += gap * m / (self._n + m)
        self._n += m

    def interval(self) -> tuple[float, float]:
        """Return the lower and the upper end; NaN without bounds, for ratios of sums, and for fewer than two rounds."""
        span = self._high - self._low
        if self._n < 2 or not math.isfinite(span):
            return math.nan, math.nan
        spread = math.sqrt(2 * self._squares / (self._n - 1) * self._tail / self._n)
        reach = spread + 7 * span * self._tail / (3 * (self._n - 1))
        return self._mean - reach, self._mean + reach
