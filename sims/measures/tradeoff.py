"""One number for a router's whole trade between cost and quality, whichever way its dial is set."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.hull import Hull


def aiq(cost: Floats, quality: Floats, *, arm_cost: Floats, arm_quality: Floats) -> float:
    """Return the Average Improvement in Quality of a router that was run at m settings of its dial, in quality units.

    Hu et al., "RouterBench: A Benchmark for Multi-LLM Routing System", 2024 (arXiv 2403.12031): the area under the
    non-decreasing concave hull of (mean cost, mean quality) over a range of costs, divided by the range. Here the range
    goes from the cheapest arm's mean cost to the best arm's, so that a table's figure does not hang on which routers
    are compared; the authors' program divides by the largest cost of any router, so figures do not compare. Where
    the cheapest arm is the best, or all cost the same, the range is a point and the figure the hull's quality there,
    which says no more than whether the router beats the best arm at its price.

    The hull is that of the settings and the cheapest arm, which nobody needs a router to take for some requests: a
    router that explores never gets quite as cheap, and to count nothing below its cheapest setting, as the authors'
    program does, would charge it for a dial not turned to the end. Settings outside of the range shape the hull and are
    then cut off: a mixture with one of them is as real as any other. Above a router's dearest setting it has that
    setting's quality.

    Args:
        cost: (m,) mean dollars per request at each setting.
        quality: (m,) mean quality at each.
        arm_cost: (K,) mean dollars of each arm.
        arm_quality: (K,) mean quality of each.

    Raises:
        ValueError: shapes that do not fit or a number that is not finite, such as the cost of an arm without a price.
    """
    arms = Hull.of(arm_cost, arm_quality)
    router = Hull.of(np.append(cost, arms.cost[0]), np.append(quality, arms.quality[0]))
    low, high = float(arms.cost[0]), float(arms.cost[-1])
    return float(router.quality_at(low)) if low == high else router.area(low, high) / (high - low)


def cost_at_equal_quality(quality: float, *, router: Hull, static: Hull) -> float:
    """Return what the router needs to reach `quality`, as a share of what the best fixed mixture of arms needs.

    Below 1 the router saves. 0 where no mixture reaches that quality at any price and the router does, infinite the
    other way round or where the mixture costs nothing, NaN where neither reaches it or both cost nothing.

    Args:
        quality: the level to be reached.
        router: hull of the router's settings, in (mean cost, mean quality).
        static: hull of the arms, in the same units.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(router.cost_at(quality), static.cost_at(quality)))
