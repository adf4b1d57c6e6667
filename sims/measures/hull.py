"""The upper concave hull of points in cost and quality: what mixing them reaches."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices

_SAME_COST = 1e-9  # relative: two means of the same costs, summed in another order
_SAME_QUALITY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Hull:
    """The least concave, non-decreasing curve above `count` points, by its m corners; each corner is a point.

    It starts at the cheapest point (of several, the best) and ends at the best (of several, the cheapest). Between two
    corners lies what one gets by drawing, for each request, one of the two with fixed probabilities.
    """

    cost: Floats  # (m,) strictly increasing
    quality: Floats  # (m,) strictly increasing
    points: Indices  # (m,) which of the points given each corner is
    count: int

    @classmethod
    def of(cls, cost: Floats, quality: Floats) -> Self:
        """Return the hull of points with `cost` (k,) and `quality` (k,), in any units.

        Raises:
            ValueError: no points, shapes that do not fit, or a number that is not finite (an arm without a price).
        """
        if cost.ndim != 1 or cost.shape != quality.shape or not len(cost):
            raise ValueError(f"need one cost and one quality per point, got shapes {cost.shape} and {quality.shape}")
        for name, values in (("cost", cost), ("quality", quality)):
            if not np.isfinite(values).all():
                worst = int(np.flatnonzero(~np.isfinite(values))[0])
                raise ValueError(f"{name} of point {worst} is {values[worst]!r}; leave out points that have none")
        corners = np.array(_corners(cost, quality), dtype=np.intp)
        return cls(cost[corners], quality[corners], corners, len(cost))

    def quality_at(self, cost: Floats | float) -> Floats:
        """Return the quality reached at mean cost `cost`, in its shape: NaN below the cheapest point, flat after."""
        snapped = np.where(np.isclose(cost, self.cost[0], rtol=_SAME_COST, atol=0.0), self.cost[0], cost)
        quality: Floats = np.interp(snapped, self.cost, self.quality, left=np.nan)
        return quality

    def cost_at(self, quality: Floats | float) -> Floats:
        """Return the least mean cost that reaches `quality`, in its shape: infinity where nothing does."""
        top = self.quality[-1]
        snapped = np.where(np.isclose(quality, top, rtol=0.0, atol=_SAME_QUALITY), top, quality)
        cost: Floats = np.interp(snapped, self.quality, self.cost, right=np.inf)
        return cost

    def weights_at(self, cost: float) -> Floats:
        """Return the mixture of the points given, (count,), that reaches `quality_at(cost)` at no more than `cost`.

        At most two are positive: the corners on either side.

        Raises:
            ValueError: `cost` is less than the cheapest point's.
        """
        if np.isnan(self.quality_at(cost)):
            raise ValueError(
                f"no mixture costs as little as {cost!r}; the cheapest point costs {self.cost[0].item()!r}"
            )
        weights = np.zeros(self.count)
        right = min(max(int(np.searchsorted(self.cost, cost)), 1), len(self.cost) - 1)
        if len(self.cost) == 1:
            weights[self.points[0]] = 1.0
            return weights
        span = self.cost[right] - self.cost[right - 1]
        share = float(np.clip((cost - self.cost[right - 1]) / span, 0.0, 1.0))
        weights[self.points[right - 1]], weights[self.points[right]] = 1.0 - share, share
        return weights

    def area(self, low: float, high: float) -> float:
        """Return the area under the hull from cost `low` to `high`; what is below the cheapest point adds nothing."""
        start = max(low, float(self.cost[0]))
        if not start < high:
            return 0.0
        knots = np.concatenate([[start], self.cost[(self.cost > start) & (self.cost < high)], [high]])
        return float(np.trapezoid(self.quality_at(knots), knots))


def _corners(cost: Floats, quality: Floats) -> list[int]:
    corners: list[int] = []
    for point in np.lexsort((-quality, cost)).tolist():
        if corners and quality[point] <= quality[corners[-1]]:
            continue  # dearer and no better than a corner: `corners` rises, so its last is the best so far
        while len(corners) > 1 and _slope(cost, quality, corners[-2:]) <= _slope(cost, quality, [corners[-1], point]):
            corners.pop()
        corners.append(point)
    return corners


def _slope(cost: Floats, quality: Floats, pair: list[int]) -> float:
    left, right = pair
    return float((quality[right] - quality[left]) / (cost[right] - cost[left]))
