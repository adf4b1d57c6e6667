"""The settings of the cost dial that a sweep runs at on a table: each as a weight, and in points per dollar."""

from dataclasses import dataclass
from math import log

import numpy as np

from highwayman.env.cost.objective import POINT, Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.types import Floats
from highwayman.sims.measures.hull import Hull
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.tables.table import FullTable

_BEYOND = 4.0  # times the steepest edge, and below the flattest: a router that knows prompts apart still gains there
_FREE = 1e-3  # of the best arm's cost: what a free arm is taken to cost on a log scale


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
    the best arm, above the steepest the cheapest. After 0 come the rates at costs that lie evenly on a log scale from
    the best arm's down to the cheapest's: each edge's own in its middle, at each arm between two edges the geometric
    mean of theirs, from which an arm that a wide range of rates buys is not passed over, and a factor of 4 past them at
    both ends.
    """
    cost, quality = table.cost_usd.mean(axis=0), table.quality.mean(axis=0)
    priced = np.isfinite(cost)
    if count < 1 or not priced.any():
        return ()
    hull = Hull.of(cost[priced], quality[priced])
    if len(hull.cost) < 2:  # the cheapest is the best: between arms there is nothing to buy
        spread = table_spread(table)
        low, high = spread.points_per_usd(0.01), spread.points_per_usd(1.0)
        return (0.0, *np.geomspace(low, high, count - 1).tolist()) if low > 0 else (0.0,)
    rates = np.diff(hull.quality) / np.diff(hull.cost) / POINT  # falling
    log_cost = np.log(np.maximum(hull.cost, hull.cost[-1] * _FREE))
    log_rates = np.log(rates)
    ends = log_rates[0] + log(_BEYOND), log_rates[-1] - log(_BEYOND)
    knots = _with_middles(log_cost)  # cheapest arm, edge, arm, edge, ..., best arm
    at_knots = [ends[0], *_with_middles(log_rates), ends[1]]
    between = np.interp(np.linspace(log_cost[-1], log_cost[0], count - 1), knots, at_knots)
    return (0.0, *np.exp(between).tolist())


def _with_middles(values: Floats) -> Floats:
    """Return values (m,) with the mean of each two neighbours between them, (2 m - 1,)."""
    both = np.empty(2 * len(values) - 1)
    both[::2], both[1::2] = values, (values[:-1] + values[1:]) / 2
    return both
