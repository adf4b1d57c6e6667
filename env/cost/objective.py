"""From dollars, seconds and energy to quality: what an answer must be better by to be worth what it takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from highwayman.env.types import Floats

AUTO = "auto"
POINT = 0.01  # of quality, which lies in [0, 1]
MOST_POINTS = 1e12  # per dollar: more would say nothing else, and is too large to be added to

# The weights of cost that aliases have where nothing else is said; `PoolSpread` makes points per dollar of them.
ALIAS_WEIGHTS: Mapping[str, float] = MappingProxyType({AUTO: 0.15, "auto-cheap": 0.5, "auto-quality": 0.0})


@dataclass(frozen=True, slots=True)
class Objective:
    """What a caller wants: what dollars, seconds and energy count against quality, and what an answer must keep to.

    1,500 points per dollar say that an answer which costs a tenth of a cent more must be 1.5 points (.015) better.
    """

    name: str
    points_per_usd: float = 0.0
    points_per_s: float = 0.0
    points_per_wh: float = 0.0
    max_usd: float | None = None  # a call may be expected to cost at most this
    min_quality: float | None = None  # expected quality in [0, 1] that an arm must reach, if any does
    explore: bool = True  # whether arms may be tried that look worse

    def __post_init__(self) -> None:
        """Raise ValueError for points that are no number >= 0, or a limit out of its range."""
        for name in ("points_per_usd", "points_per_s", "points_per_wh"):
            points = getattr(self, name)
            if not (math.isfinite(points) and points >= 0):
                raise ValueError(f"{name} must be a number >= 0, got {points!r}")
        if self.max_usd is not None and not (math.isfinite(self.max_usd) and self.max_usd >= 0):
            raise ValueError(f"max_usd must be a number of dollars >= 0, got {self.max_usd!r}")
        if self.min_quality is not None and not 0.0 <= self.min_quality <= 1.0:
            raise ValueError(f"min_quality must be in [0, 1], got {self.min_quality!r}")

    def with_overrides(self, **overrides: object) -> "Objective":
        """Return the objective with what a caller overrides for one request; None leaves what there is."""
        given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
        return replace(self, **given) if given else self

    def penalties(self, usd: Floats, latency_s: Floats | None = None, wh: Floats | None = None) -> Floats:
        """Return what arms carry in quality units, (..., K), for what a call to each is expected to take.

        Linear: no arm's penalty hangs on which others there are, but for one of which nobody knows what it takes. What
        maximises quality less a price times cost is on the frontier of the two, whatever the price; of a price times
        the logarithm of cost that is not so.

        Args:
            usd: (..., K) dollars for every arm of the pool; NaN: not known.
            latency_s: seconds, likewise; None: nobody knows of any.
            wh: watt-hours, likewise.
        """
        carried: Floats | None = None
        amounts = ((usd, self.points_per_usd), (latency_s, self.points_per_s), (wh, self.points_per_wh))
        for amount, points in amounts:
            if points and amount is not None:
                more = POINT * points * most_where_unknown(amount)
                carried = more if carried is None else carried + more
        return np.zeros(usd.shape) if carried is None else carried


def most_where_unknown(amounts: Floats) -> Floats:
    """Return amounts (..., K) >= 0 with the most of the K that are known where one is not (NaN); 0 where none is."""
    if not math.isnan(np.vdot(amounts, amounts)):  # half the time of a sum
        return amounts
    unknown = np.isnan(amounts)
    known = np.where(unknown, 0.0, amounts)
    return np.where(unknown, known.max(axis=-1, keepdims=True), amounts)
