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
_STAKES_OF = _STAKES.tolist()  # plain floats: of few, faster
_TOGETHER = 512  # rounds whose logs are taken at once
_FADES = 1.0 / 200.0  # share of a new round in the running mean of spreads
_HALVINGS = 44
_MORE, _LESS = 0, 1  # the gamblers


def stake_level(spread: float) -> int:
    """Return how much is bet on a round, 0 (most) to LEVELS - 1, where rounds before it had such a mean spread."""
    return min(max(round(math.log2(max(spread, 0.25))) + 2, 0), LEVELS - 1)


def next_spread(spread: float, of_round: float) -> float:
    """Return the running mean of spreads once a round has come."""
    return spread + _FADES * (of_round - spread)


def log_factors(value: float, level: int) -> list[float]:
    """Return what each bet's capital grows by on a value >= -SPAN, before the claim's share, as logs."""
    beyond = value + SPAN
    factors: list[float] = np.log1p(beyond * _STAKED[level]).tolist()
    return factors


def log_capital(sums: Floats, counts: Floats, claim: float | Floats) -> Floats:
    """Return the log of the capital against a claim, or each its own (...), for sums (..., bets) of log factors: (...).

    Betting lambda = c / (1 + c (m + SPAN)) on every value against the claim m multiplies the capital by
    (1 + c (x + SPAN)) / (1 + c (m + SPAN)): for a fixed c all claims follow from one sum, so that a round whose reward
    is revised can be taken out again. The c are mixed. `counts` (..., LEVELS) says how many rounds had each stake.
    """
    own = np.log1p((np.asarray(claim)[..., None, None] + SPAN) * _STAKED)
    against = sums - (counts[..., None, :] @ own)[..., 0, :]
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
        self._sums: Floats = np.zeros((2, len(_BETS)))  # of log factors: that it is more, that it is less
        # Rounds that are not in the sums yet: both ends, level, sign.
        self._coming: list[tuple[float, float, int, int]] = []
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
        self._coming.append((lower, upper, level, sign))
        if sign < 0 and not any(self._counts):  # nothing of what rounding left
            self._coming.clear()
            self._sums, self.total = np.zeros((2, len(_BETS))), 0.0
        elif len(self._coming) >= _TOGETHER:
            self._settle()

    def _settle(self) -> None:
        """Take what came into the sums, one after the other: however many come together, the sums are the same."""
        if not self._coming:
            return
        lower, upper, levels, signs = map(np.array, zip(*self._coming, strict=True))
        # (n, 2); rounding in single precision may put one beyond its bound, where a ratio is a million.
        ends = np.maximum(np.stack([lower + SPAN, SPAN - upper], axis=1), 0.0)
        factors = signs[:, None, None] * np.log1p(ends[:, :, None] * _STAKED[levels][:, None, :])  # (n, 2, bets)
        self._sums = np.add.accumulate(np.concatenate([self._sums[None], factors]))[-1]
        self._coming.clear()

    @property
    def mean(self) -> float | None:
        """The estimate, None without rounds."""
        weight = float(np.dot(self._counts, _STAKES))
        return self.total / weight if weight else None

    def exceeds(self, claim: float, alpha: float) -> bool:
        """Return whether it is refuted that the mean is `claim` or less."""
        return self._capital(_MORE, claim) >= -math.log(alpha)

    def falls_below(self, claim: float, alpha: float) -> bool:
        """Return whether it is refuted that the mean is `claim` or more."""
        return self._capital(_LESS, -claim) >= -math.log(alpha)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the lower and the upper end, each wrong, ever, with probability at most `alpha`."""
        return intervals([self], alpha)[0]

    def _capital(self, gambler: int, claim: float) -> float:
        self._settle()
        return float(log_capital(self._sums[gambler], np.array(self._counts, dtype=np.float64), claim))

    def state(self) -> dict[str, Floats]:
        """Return its numbers as arrays."""
        self._settle()
        counts = np.array(self._counts, dtype=np.float64)
        return {"sums": self._sums, "counts": counts, "total": np.array([self.total])}

    def restore(self, arrays: dict[str, Floats]) -> None:
        """Go on from what `state` returned. Raises LookupError, ValueError for arrays of another shape."""
        sums, counts, total = arrays["sums"], arrays["counts"], arrays["total"]
        if sums.shape != (2, len(_BETS)) or counts.shape != (LEVELS,) or total.shape != (1,):
            raise ValueError("bets of another kind")
        self._sums = sums.copy()
        self._coming.clear()
        self._counts, self.total = [round(count) for count in counts.tolist()], float(total[0])


def intervals(bets: Sequence[PairedBets], alpha: float) -> list[tuple[float, float]]:
    """Return the `interval` of each, all of them looked for at once."""
    states = [each.state() for each in bets]
    sums = np.concatenate([state["sums"] for state in states])  # (2 n, bets), that it is more and that it is less
    counts = np.repeat([state["counts"] for state in states], 2, axis=0)
    low, high = np.full(len(sums), -SPAN), np.full(len(sums), SPAN)
    grown = -math.log(alpha)
    any_refuted = log_capital(sums, counts, low) >= grown
    for _ in range(_HALVINGS):  # for the largest claim that is refuted
        middle = 0.5 * (low + high)
        refuted = log_capital(sums, counts, middle) >= grown
        low, high = np.where(refuted, middle, low), np.where(refuted, high, middle)
    ends = np.where(any_refuted, low, -SPAN).tolist()
    return [(more, -less) for more, less in zip(ends[::2], ends[1::2], strict=True)]
