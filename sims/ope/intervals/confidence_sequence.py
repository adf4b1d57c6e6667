"""An interval that may be looked at after every round, whatever policy logged and however it learned."""

import math

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.ope.estimate import RoundValues
from highwayman.sims.ope.intervals.normal import checked_level

_CHAINED = 8  # factors multiplied before a logarithm is taken; none of them nears 1e300 ** (1 / 8)
_SHARE = 4096  # rounds at once
_GRID = np.linspace(0.0, 1.0, 65)
_REFINED = 4  # times the grid is laid into one of its own cells: a resolution of 6e-8


class BettingCapital:
    """What a gambler owns who bets that the mean of nonnegative values is higher than claimed.

    Betting the fraction lambda of the capital on every value x against the claim m multiplies it by 1 + lambda (x - m).
    With lambda = c / (1 + c m) that is (1 + c x) / (1 + c m), so for a fixed c the capital against every claim follows
    from one sum, S(c) = sum log(1 + c x), and from the count. The c are mixed, spread over seven decades: large ones
    win where values hardly vary, small ones on long logs.
    """

    def __init__(self) -> None:
        self._bets = np.geomspace(1e-5, 1e2, 22)
        self._logs = np.zeros(len(self._bets))
        self._n = 0

    def add(self, values: Floats) -> None:
        """Bet on the next values (n,), all >= 0."""
        self._n += len(values)
        for start in range(0, len(values), _SHARE):
            part = values[start : start + _SHARE]
            padded = np.zeros(-(-len(part) // _CHAINED) * _CHAINED)  # a value of 0 changes no sum
            padded[: len(part)] = part
            factors = 1.0 + self._bets[:, None] * padded
            self._logs += np.log(factors.reshape(len(self._bets), _CHAINED, -1).prod(axis=1)).sum(axis=1)

    def refuted(self, log_odds: float) -> float:
        """Return the largest claim in [0, 1] against which the capital grew by a factor of exp(`log_odds`), or 0."""
        low, width = 0.0, 1.0
        if self._against(np.zeros(1))[0] < log_odds:
            return 0.0
        for _ in range(_REFINED):
            claims = low + width * _GRID
            cell = int(np.flatnonzero(self._against(claims) >= log_odds)[-1])
            low, width = float(claims[cell]), width / (len(_GRID) - 1)
        return min(low, 1.0)

    def _against(self, claims: Floats) -> Floats:
        """Return the logarithm of the capital against each claim; it falls as the claim rises."""
        log_capitals = self._logs - self._n * np.log1p(claims[:, None] * self._bets)  # (claims, bets)
        top = log_capitals.max(axis=1)
        log_mean: Floats = top + np.log(np.exp(log_capitals - top[:, None]).mean(axis=1))
        return log_mean


class ConfidenceSequence:
    """Bounds on the value that hold at every round at once, with probability `level`.

    Two gamblers (`BettingCapital`): one bets that ratio * reward is worth more than claimed, one that
    ratio * (1 - reward) is; neither value has an upper bound, nor needs one. A claim against which one of them grew
    2 / alpha-fold is refuted:
    by Ville's inequality that happens to the true one, ever, with probability at most alpha. Waudby-Smith & Ramdas,
    "Estimating means of bounded random variables by betting", JRSS-B 2024, section 4; for off-policy values
    Karampatziakis, Mineiro & Ramdas, "Off-policy Confidence Sequences", ICML 2021, and Waudby-Smith et al.,
    "Anytime-valid off-policy inference for contextual bandits", 2024. They let bets follow the past; here constant
    ones are mixed, so a chunk is a few array operations, and memory is 44 numbers.

    It needs only that, given everything before a round, ratio * reward expects the value: so the logging policy may
    learn, and one may stop when the interval looks good. That is true of `IPS`; of `ClippedIPS` both ends are still
    valid, as a cap only lowers what each gambler wins; of every other estimator it is not, nor where some rounds count
    more than others, and the interval is NaN.
    Where the value drifts, or depends on who is asking, it bounds the mean over the rounds so far of what each was
    expected to earn (log(1 + c m) is concave in m), which with few persons is not that of people to come.
    """

    def __init__(self, *, level: float = 0.95) -> None:
        """Start without rounds. Raises ValueError for a level outside (0, 1)."""
        self._log_odds = math.log(2 / (1 - checked_level(level)))
        self._above = BettingCapital()
        self._below = BettingCapital()
        self._is_martingale = True

    def add(self, rounds: RoundValues) -> None:
        """Take the next rounds."""
        self._is_martingale = self._is_martingale and rounds.martingale
        if not self._is_martingale:
            return
        lost = rounds.ratio - rounds.numerator
        if len(lost) and min(lost.min(), rounds.numerator.min()) < -1e-9:
            raise ValueError("a martingale's values must be ratio * reward with rewards in [0, 1]")
        self._above.add(rounds.numerator)
        self._below.add(np.maximum(lost, 0.0))

    def interval(self) -> tuple[float, float]:
        """Return the lower and the upper end after the rounds so far, in [0, 1]; NaN where they are no martingale.

        An upper end below the lower one says that the propensities cannot be right.
        """
        if not self._is_martingale:
            return math.nan, math.nan
        return self._above.refuted(self._log_odds), 1.0 - self._below.refuted(self._log_odds)
