"""Results as a sweep would fill them, made up: what is true of them is set by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from highwayman.sims.sweeps.results import (
    BASELINE,
    POLICY,
    Arms,
    BaselineResult,
    Bin,
    Ratios,
    Results,
    RunResult,
    Setting,
)

ARMS = ("small-8b", "coder-14b", "general-32b", "large-70b", "frontier")
QUALITY = (0.52, 0.58, 0.66, 0.71, 0.74)
COST = (0.00004, 0.0001, 0.00031, 0.0009, 0.0042)
POLICIES = {"lin_ts": 0.05, "lin_ucb": 0.03, "softmax": 0.015, "epsilon_greedy": 0.0, "uniform": -0.09}
BASELINES = {
    "random": -0.09, "cheapest": -0.12, "best fixed": 0.0, "static mixture": 0.006, "task mean": 0.02, "kNN": 0.035,
    "ridge": 0.055, "oracle": 0.17,
}  # fmt: skip


def arms(names: Sequence[str] = ARMS) -> Arms:
    k = len(names)
    quality = tuple(QUALITY[one % 5] for one in range(k))
    cost = tuple(COST[one % 5] for one in range(k))
    penalty = tuple(0.15 * one / max(k - 1, 1) for one in range(k))
    hull = tuple(zip(cost[:5], quality[:5], strict=True))
    return Arms(tuple(names), quality, cost, penalty, hull, {"oracle": BaselineResult(0.8, 0.86, 0.0006)})


def results(
    *,
    tables: Sequence[str] = ("mixed_bench",),
    worlds: Mapping[str, float] = {"calm": 1.0},
    policies: Mapping[str, float] = POLICIES,
    seeds: int = 5,
    bins: int = 20,
    rounds: int = 4000,
    budget_usd: float = math.nan,
    names: Sequence[str] = ARMS,
    full: bool = True,
) -> Results:
    """Return results in which a policy ends `policies[name]` x `worlds[world]` above the best fixed arm, and noise."""
    rng = np.random.default_rng(7)
    runs: list[RunResult] = []
    curves: list[Bin] = []
    frontier: list[Setting] = []
    ratios: list[Ratios] = []
    for table in tables:
        for world, factor in worlds.items():
            levels = 0.6 + 0.02 * len(table) % 0.1 + rng.normal(0, 0.004, seeds)
            for name, lead in [*policies.items(), *BASELINES.items()]:
                learns = name in policies and lead > -0.05
                for seed in range(seeds):
                    end = levels[seed] + (lead * factor if lead > 0 and name in policies else lead)
                    end += rng.normal(0, 0.004) * (name != "best fixed")
                    base = {"table": table, "world": world, "policy": name, "seed": seed}
                    path = _bins(
                        rng, end, lead=lead, learns=learns, bins=bins, rounds=rounds, k=len(names), level=levels[seed]
                    )
                    if name in policies:
                        curves += [Bin(**base, **one) for one in path]
                    runs.append(_run(base, path, name in policies, rounds, budget_usd))
                if name in policies and full:
                    frontier += _settings(rng, table, world, name, lead, seeds)
                    ratios.append(_ratios(rng, table, world, name, lead))
    manifest = {
        "created": "2026-01-02", "version": "0.4.0", "command": "highwayman simulate sweep.yaml --seeds 5",
        "seeds": list(range(seeds)), "data": {table: {"sha256": "9f86d081884c7d65"} for table in tables},
        "configuration": {"floor": 0.02, "cost_weight": 0.15, "worlds": list(worlds)},
    }  # fmt: skip
    return Results(tuple(runs), tuple(curves), {one: arms(names) for one in tables}, tuple(frontier), tuple(ratios),
                   manifest)  # fmt: skip


def _bins(
    rng: np.random.Generator, end: float, *, lead: float, learns: bool, bins: int, rounds: int, k: int, level: float
) -> list[dict[str, Any]]:
    ends = np.linspace(rounds / bins, rounds, bins).round().astype(int)
    progress = 1 - np.exp(-ends / (0.15 * rounds)) if learns else np.ones(bins)
    values = end - (1 - progress) * 0.12 + rng.normal(0, 0.008, bins)
    target = np.exp(6 * np.sin(lead * 40 + np.arange(k))) if learns else np.ones(k)
    target = target / target.sum()
    share = progress[:, None] * target + (1 - progress[:, None]) / k if learns else np.full((bins, k), 1 / k)
    share = share + rng.random((bins, k)) * 0.03
    share /= share.sum(axis=1, keepdims=True)
    regret = np.cumsum((level - values) * rounds / bins)
    cost = share @ np.array([COST[one % 5] for one in range(k)])
    return [
        {"round": int(at), "value": float(v), "regret": float(r), "cost_usd": float(c), "shares": tuple(map(float, s)),
         "feedback": rounds // bins}
        for at, v, r, c, s in zip(ends, values, regret, cost, share, strict=True)
    ]  # fmt: skip


def _run(base: dict[str, Any], path: list[dict[str, Any]], policy: bool, rounds: int, budget: float) -> RunResult:
    values = [one["value"] for one in path]
    cost = float(np.mean([one["cost_usd"] for one in path]))
    value = float(np.mean(values))
    return RunResult(
        **base, rounds=rounds, kind=POLICY if policy else BASELINE, value=value, quality=value + 0.06, cost_usd=cost,
        regret_fixed=path[-1]["regret"] / rounds, regret_oracle=0.78 - value, first_value=float(np.mean(values[:2])),
        last_value=float(np.mean(values[-5:])), budget_usd=budget, budget_ratio=1.15 * cost / budget,
        exploration_usd=0.12 if policy else math.nan, ies=2.5 if policy else math.nan,
        shares=tuple(float(one) for one in np.mean([one["shares"] for one in path], axis=0)),
    )  # fmt: skip


def _settings(rng: np.random.Generator, table: str, world: str, name: str, lead: float, seeds: int) -> list[Setting]:
    found = []
    for weight, place in ((0.0, 0.8), (0.15, 0.5), (0.5, 0.2)):
        cost = 0.00004 * (0.0042 / 0.00004) ** place * np.exp(rng.normal(0, 0.05, seeds)) * (1 - lead)
        quality = 0.55 + 0.2 * place + lead + rng.normal(0, 0.005, seeds)
        found.append(Setting(table, world, name, weight, tuple(map(float, cost)), tuple(map(float, quality))))
    return found


def _ratios(rng: np.random.Generator, table: str, world: str, name: str, lead: float) -> Ratios:
    drawn = np.exp(rng.normal(0, 0.05 + 12 * max(lead, 0.0), 4000)).clip(0.2, 50)
    edges = np.geomspace(0.1, 100, 31)
    counts, _ = np.histogram(drawn, edges)
    ess = float(drawn.sum() ** 2 / (drawn**2).sum())
    return Ratios(table, world, name, tuple(map(float, edges)), tuple(map(int, counts)), ess)
