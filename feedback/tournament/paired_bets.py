"""Bounds on the mean of differences that hold at every look, and from which a round can be taken back."""

import math
from collections.abc import Sequence

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.tournament.contrast import SPAN

LEVELS = 10  # of how much a round can tell
FIRST_SPREAD = 4.0  # expected before the first round
_BETS: Floats = np.array([0.02, 0.047, 0.11, 0.26, 0.6])
_STAKES: Floats = np.exp2(2.0 - np.arange(LEVELS))
_STAKED: Floats = np.multiply.outer(_STAKES, _BETS)
_STAKES_OF, _STAKED_OF = _STAKES.tolist(), _STAKED.tolist()  # plain floats: of few, faster
_FADES = 1.0 / 200.0  # share of a new round in the running mean of spreads
_HALVINGS = 44


def stake_level(spread: float) -> int:
    """Return how much is bet on a round, 0 (most) to LEVELS - 1, where rounds before it had such a mean spread."""
    return min(max(round(math.log2(max(spread, 0.25))) + 2, 0), LEVELS - 1)


def next_spread(spread: float, of_round: float) -> float:
    """Return the running mean of spreads once a round has come."""
    return spread + _FADES * (of_round - spread)


def log_factors(value: float, level: int) -> list[float]:
    """Return what each bet's capital grows by on a value >= -SPAN, before the claim's share, as logs."""
    beyond = value + SPAN
    return [math.log1p(beyond * bet) for bet in _STAKED_OF[level]]


def log_capital(sums: Floats, counts: Floats, claim: float) -> Floats:
    """Return the log of the capital against `claim`, for sums (..., bets) of log factors over rounds: (...).

    Betting lambda = c / (1 + c (m + SPAN)) on every value against the claim m multiplies the capital by
    (1 + c (x + SPAN)) / (1 + c (m + SPAN)): for a fixed c all claims follow from one sum, so that a round whose reward
    is revised can be taken out again. The c are mixed. `counts` (..., LEVELS) says how many rounds had each stake.
    """
    against = sums - counts @ np.log1p((claim + SPAN) * _STAKED)
    top = against.max(axis=-1)
    mean: Floats = top + np.log(np.exp(against - np.expand_dims(top, -1)).mean(axis=-1))
    return mean


class PairedBets:
    """Two gamblers on the rounds so far: one that the difference is higher than claimed, one that it is lower.

    A claim against which one of them has grown 1 / alpha-fold is refuted: the true one is, ever, with probability at
    most alpha at either end (Ville's inequality; Waudby-Smith & Ramdas, "Estimating means of bounded random variables
    by betting", JRSS-B 2024, section 4). Assumed is that, given all before a round, its value expects the difference:
    the policies may learn. Less is bet where ratios have been large, by what was known before the query came: a stake
    that looked at it would weigh the queries. Routing breaks it where feedback on good answers comes sooner than on bad
    ones. Where the difference drifts, it bounds its mean over the rounds so far, weighed by stakes.
    """

    def __init__(self) -> None:
        """Start without rounds."""
        self._more, self._less = [0.0] * len(_BETS), [0.0] * len(_BETS)  # sums of log factors
        self._counts = [0] * LEVELS
        self.total = 0.0  # of the middles of both ends, times stakes

    @property
    def n(self) -> int:
        """How many rounds there are."""
        return sum(self._counts)

    def add(self, lower: float, upper: float, level: int, *, sign: int = 1) -> None:
        """Take a round's value, at least -SPAN as `lower` and at most SPAN as `upper`; with `sign` -1 take it back."""
        self._counts[level] += sign
        self.total += sign * 0.5 * (lower + upper) * _STAKES_OF[level]
        more, less, above, below = self._more, self._less, lower + SPAN, -upper + SPAN
        for place, bet in enumerate(_STAKED_OF[level]):  # as `log_factors` has it, without a list for each
            more[place] += sign * math.log1p(above * bet)
            less[place] += sign * math.log1p(below * bet)
        if sign < 0 and not any(self._counts):  # nothing of what rounding left
            self._more, self._less, self.total = [0.0] * len(_BETS), [0.0] * len(_BETS), 0.0

    @property
    def mean(self) -> float | None:
        """The estimate, None without rounds."""
        weight = float(np.dot(self._counts, _STAKES))
        return self.total / weight if weight else None

    def exceeds(self, claim: float, alpha: float) -> bool:
        """Return whether it is refuted that the mean is `claim` or less."""
        return self._capital(self._more, claim) >= -math.log(alpha)

    def falls_below(self, claim: float, alpha: float) -> bool:
        """Return whether it is refuted that the mean is `claim` or more."""
        return self._capital(self._less, -claim) >= -math.log(alpha)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the lower and the upper end, each wrong, ever, with probability at most `alpha`."""
        return self._refuted(self._more, alpha), -self._refuted(self._less, alpha)

    def _capital(self, sums: Sequence[float], claim: float) -> float:
        return float(log_capital(np.array(sums), np.array(self._counts, dtype=np.float64), claim))

    def _refuted(self, sums: Sequence[float], alpha: float) -> float:
        """Return the largest claim that one gambler has refuted, -SPAN if none."""
        low, high = -SPAN, SPAN
        if self._capital(sums, low) < -math.log(alpha):
            return low
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._capital(sums, middle) >= -math.log(alpha) else (low, middle)
        return low

    def state(self) -> dict[str, Floats]:
        """Return its numbers as arrays."""
        sums, counts = np.array([self._more, self._less]), np.array(self._counts, dtype=np.float64)
        return {"sums": sums, "counts": counts, "total": np.array([self.total])}

    def restore(self, arrays: dict[str, Floats]) -> None:
        """Go on from what `state` returned. Raises LookupError, ValueError for arrays of another shape."""
        sums, counts, total = arrays["sums"], arrays["counts"], arrays["total"]
        if sums.shape != (2, len(_BETS)) or counts.shape != (LEVELS,) or total.shape != (1,):
            raise ValueError("bets of another kind")
        self._more, self._less = sums.tolist()
        self._counts, self.total = [round(count) for count in counts.tolist()], float(total[0])
