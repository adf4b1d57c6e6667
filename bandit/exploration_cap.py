"""A ceiling on what trying arms out may cost: in dollars per day, and in expected regret per request."""

import math

import numpy as np

from highwayman.env.types import Floats

_DAY_S = 86_400.0
_AHEAD_S = 3600.0  # of a day's dollars that may be spent before their time
_SAVED_REQUESTS = 500.0  # whose regret may be saved up
_LEAST_SHARE = 0.05  # of exploration: less would put propensities on the log that no estimate can use


class ExplorationCap:
    """Says how much of a decision's exploration is left, so that what it costs keeps to its ceilings.

    What exploration costs is what the distribution costs in expectation beyond the greedy arm's: dollars, and regret,
    quality minus penalty by the policy's own estimates. Mixed with the greedy arm at a share, it costs that share of
    it. So a share of what is in two buckets is taken: the day's dollars, which drip in over the day, and the regret
    that every request brings. Neither sum ever exceeds what its ceiling allows; what a cautious request leaves is there
    for later ones. Expectations are the policy's: where it is wrong about an arm, so is the regret counted.
    """

    def __init__(self, *, usd_per_day: float | None = None, regret_per_request: float | None = None) -> None:
        """Take the ceilings, None for none: dollars per day of UTC, and quality units per request on average.

        Raises:
            ValueError: a ceiling is no number >= 0.
        """
        for name, value in (("usd_per_day", usd_per_day), ("regret_per_request", regret_per_request)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number >= 0 or None, got {value!r}")
        self._usd_per_day = usd_per_day
        self._regret_per_request = regret_per_request
        self._day = -1
        self._spent_usd = 0.0  # today
        self._regret = 0.0  # saved up

    def go_on_from(self, before: "ExplorationCap") -> None:
        """Count on from what another one has spent today and saved up, whose place this one takes."""
        self._day, self._spent_usd, self._regret = before._day, before._spent_usd, before._regret

    @property
    def counts_usd(self) -> bool:
        """Whether there is a ceiling in dollars."""
        return self._usd_per_day is not None

    def share(self, probs: Floats, greedy: int, *, usd: Floats, utilities: Floats | None, at: float) -> float:
        """Return the share of its exploration that a decision may have, in [0, 1], and count what that costs.

        Args:
            probs: (K,) what would be drawn from, the floor and all.
            greedy: the arm taken without exploration.
            usd: (K,) expected dollars of a call to each arm; NaN: it has no price, and counts as free.
            utilities: (K,) expected quality minus penalty; None: no regret is counted.
            at: seconds since the epoch.
        """
        cost_usd = max(float(probs @ (priced := np.nan_to_num(usd)) - priced[greedy]), 0.0)
        regret = 0.0 if utilities is None else max(float(utilities[greedy] - probs @ utilities), 0.0)
        self._fill(at)
        share = min(_part(self._left_usd(at), cost_usd), _part(self._left_regret(), regret))
        share = 0.0 if share < _LEAST_SHARE else share
        self._spent_usd += share * cost_usd
        self._regret -= share * regret
        return share

    def _fill(self, at: float) -> None:
        if (day := math.floor(at / _DAY_S)) != self._day:
            self._day, self._spent_usd = day, 0.0
        if self._regret_per_request is not None:
            self._regret = min(self._regret + self._regret_per_request, _SAVED_REQUESTS * self._regret_per_request)

    def _left_usd(self, at: float) -> float:
        if self._usd_per_day is None:
            return math.inf
        due = min((at - self._day * _DAY_S + _AHEAD_S) / _DAY_S, 1.0)
        return max(self._usd_per_day * due - self._spent_usd, 0.0)

    def _left_regret(self) -> float:
        return math.inf if self._regret_per_request is None else max(self._regret, 0.0)


def _part(left: float, cost: float) -> float:
    """Return the share of a cost that what is left pays for; all of what costs nothing."""
    return 1.0 if cost <= left else left / cost


def mix_with_greedy(
    probs: Floats, greedy: Floats, *, floor: float | Floats, share: float
) -> tuple[Floats, float | Floats]:
    """Return the distribution (K,) and the floor to draw with for a share of exploration.

    Drawn from with `draw`, every arm has exactly share * (what `draw` gives it from `probs` at `floor`) + (1 - share) *
    greedy. The floor promised shrinks with the share: a propensity is at least share * floor / K, or share times
    the arm's own. At share 0 it is that of `greedy`, and arms without probability there count as not eligible on the
    log.

    Args:
        probs: (K,) the policy's.
        greedy: (K,) what is drawn from without exploration.
        floor: even or (K,), of the decision with all of its exploration.
        share: of it, in [0, 1].
    """
    if share == 1.0:
        return probs, floor
    spread = float(floor.sum()) if isinstance(floor, np.ndarray) else floor
    return (share * (1.0 - spread) * probs + (1.0 - share) * greedy) / (1.0 - share * spread), share * floor
