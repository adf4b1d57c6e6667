"""A sweep in numbers: for machines as JSON, for a terminal as rows."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.hull import Hull
from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.measures.tradeoff import aiq, cost_at_equal_quality
from highwayman.sims.measures.two_arms import apgr, cpt
from highwayman.sims.sweeps.results import BASELINE, POLICY, Arms, Case, Results, Setting
from highwayman.sims.sweeps.standings import difference, over_seeds, standings

_COLUMNS = (
    "value", "quality", "cost_usd", "first_value", "last_value", "regret_fixed", "regret_oracle", "exploration_usd",
    "budget_ratio", "ies",
)  # fmt: skip
_ONE_POINT = 0.01


def summary(results: Results) -> list[dict[str, Any]]:
    """Return for each table and world what every policy and baseline came to, in what JSON can say.

    Columns are those of `Run`, as means over the seeds with 95% intervals; an end is null where one seed cannot tell. A
    column that is unknown under some seed is left out, a difference to the best fixed arm is null where that did not
    run. Policies come before baselines, the best first.
    """
    return [_case(case) for case in results.cases()]


def _case(case: Case) -> dict[str, Any]:
    kinds = (POLICY, BASELINE)
    rows = [_row(case, standing.name, kind) for kind in kinds for standing in standings(case, kind)]
    return {"table": case.table, "world": case.world, "arms": list(case.arms.names), "results": rows}


def _row(case: Case, name: str, kind: str) -> dict[str, Any]:
    columns = {column: _interval_fields(over_seeds(case.values(name, column))) for column in _COLUMNS}
    shares = [run.shares for run in case.of(name)]
    row = {
        "name": name,
        "kind": kind,
        "seeds": len(shares),
        **{column: interval for column, interval in columns.items() if interval is not None},
        "over_best_fixed": _interval_fields(difference(case, name, case.results.reference)),
        "over_best_fixed_last": _interval_fields(difference(case, name, case.results.reference, "last_value")),
        "shares": np.mean(shares, axis=0).tolist(),
    }
    at = case.table, case.world, name
    settings = [setting for setting in case.results.frontier if (setting.table, setting.world, setting.policy) == at]
    return {**row, **tradeoff(case.arms, settings)} if len(settings) > 1 else row


def tradeoff(arms: Arms, settings: Iterable[Setting]) -> dict[str, Any]:
    """Return what a policy's settings at several cost weights come to against the arms' static hull.

    AIQ is compared with the hull's; `cost_one_point_below` is what the policy needs for a quality one point below the
    best arm's, as a share of what the best fixed mixture needs, null where it never reaches that. With two arms also
    RouteLLM's measures, null where the arms are equally good. Empty where a cost is unknown.

    The hull is that of the table. Under a world that changes qualities or prices, the policy is compared with arms that
    it did not have.

    Args:
        arms: of the table.
        settings: of one policy in one world, one or more.
    """
    cost, quality = _means(settings)
    arm_cost, arm_quality = np.array(arms.cost_usd), np.array(arms.quality)
    if not (np.isfinite(cost).all() and np.isfinite(arm_cost).all()):
        return {}
    static = Hull.of(arm_cost, arm_quality)
    measures: dict[str, Any] = {
        "aiq": aiq(cost, quality, arm_cost=arm_cost, arm_quality=arm_quality),
        "aiq_static_hull": aiq(arm_cost, arm_quality, arm_cost=arm_cost, arm_quality=arm_quality),
        "cost_one_point_below": _number(
            cost_at_equal_quality(float(arm_quality.max()) - _ONE_POINT, router=Hull.of(cost, quality), static=static)
        ),
    }
    return {**measures, **_routellm(arm_cost, arm_quality, cost, quality)}


def _routellm(arm_cost: Floats, arm_quality: Floats, cost: Floats, quality: Floats) -> dict[str, Any]:
    """Return APGR and CPT where there are a weak and a strong arm; the share of strong calls is read off the cost."""
    if len(arm_cost) != 2 or arm_cost[0] == arm_cost[1]:
        return {}
    weak, strong = np.argsort(arm_quality)
    share = np.clip((cost - arm_cost[weak]) / (arm_cost[strong] - arm_cost[weak]), 0.0, 1.0)
    ends = {"weak": float(arm_quality[weak]), "strong": float(arm_quality[strong])}
    measures = {"apgr": apgr(share, quality, **ends)}
    measures |= {f"cpt_{level}": cpt(level / 100, share, quality, **ends) for level in (50, 80)}
    return {name: _number(value) for name, value in measures.items()}


def _means(settings: Iterable[Setting]) -> tuple[Floats, Floats]:
    pairs = [(np.mean(setting.cost_usd), np.mean(setting.quality)) for setting in settings]
    means = np.array(pairs, dtype=np.float64)
    return means[:, 0], means[:, 1]


def _interval_fields(interval: MeanInterval) -> dict[str, float | None] | None:
    if interval.n == 0:
        return None
    return {"mean": interval.mean, "low": _number(interval.low), "high": _number(interval.high)}


def _number(value: float) -> float | None:
    """Return the number, None where JSON has none for it."""
    return value if math.isfinite(value) else None
