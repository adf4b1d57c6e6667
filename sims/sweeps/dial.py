"""The settings of the cost dial that a sweep runs at on a table: each as a weight, and in points per dollar."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.cost.objective import POINT, Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.sims.measures.hull import Hull
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.tables.table import FullTable

_FLATTER = 0.25  # than the hull's flattest edge: there a router that knows prompts apart still gains by paying more


@dataclass(frozen=True, slots=True)
class DialSetting:
    """How much dollars count in a run."""

    cost_weight: float  # what the table's dearest arm must be better by than its cheapest
    objective: Objective  # of every request


def table_spread(table: FullTable) -> PoolSpread:
    """Return how far the table's arms lie apart at their mean cost and energy."""
    return PoolSpread.of_amounts(table.mean_costs(), table.mean_amounts("wh"))


def dial_settings(table: FullTable, plan: Plan) -> tuple[DialSetting, ...]:
    """Return the settings that `plan` asks for on this table, the one that is reported first, none of them twice."""
    spread = table_spread(table)
    if plan.points_per_usd:
        points = list(plan.points_per_usd)
        weights = [value * (spread.usd or 0.0) * POINT for value in points]
    else:
        weights = list(plan.cost_weights)
        points = [spread.points_per_usd(weight) for weight in weights]
    if plan.dial:
        useful = [value for value in useful_points_per_usd(table, plan.dial) if value not in points]
        points += useful
        weights += [value * (spread.usd or 0.0) * POINT for value in useful]
    return tuple(
        DialSetting(weight, plan.router.objective(value, spread)) for weight, value in zip(weights, points, strict=True)
    )


def useful_points_per_usd(table: FullTable, count: int) -> tuple[float, ...]:
    """Return `count` settings from cost not counting at all to the cheapest arm alone; none where nothing is priced.

    The edges of the arms' hull are the exchange rates at which a mixture of arms changes: below the flattest it buys
    the best arm, above the steepest the cheapest. Between a quarter of the one and the other the settings lie evenly on
    a log scale, 0 before them.
    """
    cost, quality = table.cost_usd.mean(axis=0), table.quality.mean(axis=0)
    priced = np.isfinite(cost)
    if not priced.any():
        return ()
    hull = Hull.of(cost[priced], quality[priced])
    if len(hull.cost) < 2:  # the cheapest is the best: between arms there is nothing to buy
        spread = table_spread(table)
        low, high = spread.points_per_usd(0.01), spread.points_per_usd(1.0)
    else:
        rates = np.diff(hull.quality) / np.diff(hull.cost) / POINT
        low, high = float(rates[-1]) * _FLATTER, float(rates[0])
    return (0.0, *np.geomspace(low, high, max(count - 1, 1)).tolist())[:count] if low > 0 else (0.0,)
