import json
import math
from dataclasses import replace
from typing import Any

import pytest

from highwayman.sims.sweeps.results import BASELINE, POLICY, Arms, Results, RunResult, Setting
from highwayman.sims.sweeps.summary import summary, tradeoff
from tests.sims.sweeps.small import plan, prepared, swept, table

ARMS = Arms(("weak", "strong"), quality=(0.4, 0.8), cost_usd=(0.001, 0.011), penalty=(0.0, 0.1))
T_OF_ONE_DEGREE = 12.7062


def run(policy: str, seed: int, value: float, kind: str = POLICY, **more: Any) -> RunResult:
    known = {"quality": value + 0.1, "cost_usd": 0.002, "last_value": value, "shares": (0.25, 0.75), **more}
    return RunResult(table="t", world="w", policy=policy, seed=seed, rounds=10, kind=kind, value=value, **known)


RUNS = (
    run("p", 0, 0.5, last_value=0.7), run("p", 1, 0.7, last_value=0.8, shares=(0.75, 0.25)),
    run("best fixed", 0, 0.4, BASELINE), run("best fixed", 1, 0.5, BASELINE), run("q", 0, 0.9), run("q", 1, 0.9),
)  # fmt: skip


def rows(*runs: RunResult, **more: Any) -> dict[str, dict[str, Any]]:
    (case,) = summary(Results(runs, (), {"t": ARMS}, **more))
    return {row["name"]: row for row in case["results"]}


def test_a_sweep_says_what_json_can_say() -> None:
    for bare in (table(), table(priced=False)):
        by = plan("LinTS", "Uniform", cost_weights=(0.15, 0.5))
        found = summary(swept(by, prepared(bare, by)))
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_means_and_intervals_can_be_computed_by_hand() -> None:
    found = rows(*RUNS)["p"]
    half = T_OF_ONE_DEGREE * 0.1  # two values 0.2 apart: s / sqrt(2) is 0.1
    assert (found["kind"], found["seeds"]) == ("policy", 2)
    assert found["value"] == pytest.approx({"mean": 0.6, "low": 0.6 - half, "high": 0.6 + half}, rel=1e-4)
    assert found["quality"]["mean"] == pytest.approx(0.7)
    assert found["shares"] == pytest.approx([0.5, 0.5])
    half = T_OF_ONE_DEGREE * 0.05  # differences of 0.1 and 0.2
    assert found["over_best_fixed"] == pytest.approx({"mean": 0.15, "low": 0.15 - half, "high": 0.15 + half}, rel=1e-4)
    assert found["over_best_fixed_last"] == pytest.approx({"mean": 0.3, "low": 0.3, "high": 0.3})  # twice the same
    assert "first_value" not in found  # nobody knows it


def test_policies_come_before_baselines_and_the_best_first() -> None:
    assert list(rows(*RUNS)) == ["q", "p", "best fixed"]
    assert rows(*RUNS)["best fixed"]["over_best_fixed"]["mean"] == 0.0


def test_one_seed_has_no_interval_and_without_best_fixed_there_is_no_difference() -> None:
    found = rows(RUNS[0])["p"]
    assert found["value"] == {"mean": 0.5, "low": None, "high": None}
    assert found["over_best_fixed"] is None


def test_a_column_that_one_seed_does_not_know_is_left_out() -> None:
    found = rows(RUNS[0], replace(RUNS[1], cost_usd=math.nan))["p"]
    assert "cost_usd" not in found
    assert found["quality"]["mean"] == pytest.approx(0.7)


def setting(weight: float, cost: float, quality: float) -> Setting:
    """Return a setting of two seeds with these means."""
    return Setting("t", "w", "p", weight, (cost - 0.0005, cost + 0.0005), (quality - 0.1, quality + 0.1))


def test_a_mixture_of_two_arms_recovers_half_the_gap_and_saves_nothing() -> None:
    half_way = [setting(0.0, 0.011, 0.8), setting(0.15, 0.006, 0.6), setting(0.5, 0.001, 0.4)]
    found = tradeoff(ARMS, half_way)
    assert found["aiq"] == pytest.approx(found["aiq_static_hull"]) == pytest.approx(0.6)
    assert found["cost_one_point_below"] == pytest.approx(1.0)
    assert (found["apgr"], found["cpt_50"], found["cpt_80"]) == pytest.approx((0.5, 0.5, 0.8))
    assert rows(*RUNS, frontier=tuple(half_way))["p"]["aiq"] == found["aiq"]
    assert "aiq" not in rows(*RUNS, frontier=tuple(half_way))["q"]


def test_a_router_that_is_better_at_the_same_cost_is_seen_to_be() -> None:
    found = tradeoff(ARMS, [setting(0.0, 0.011, 0.8), setting(0.15, 0.006, 0.79), setting(0.5, 0.001, 0.4)])
    assert found["aiq"] == pytest.approx((0.5 * (0.4 + 0.79) + 0.5 * (0.79 + 0.8)) / 2)
    assert found["cost_one_point_below"] == pytest.approx(0.006 / (0.001 + 0.01 * 0.39 / 0.4))
    assert found["apgr"] > 0.7


def test_a_quality_that_is_never_reached_and_a_gap_that_is_not_there_are_null() -> None:
    low = [setting(0.0, 0.006, 0.5), setting(0.5, 0.001, 0.4)]
    assert tradeoff(ARMS, low)["cost_one_point_below"] is None
    even = replace(ARMS, quality=(0.4, 0.4))
    assert tradeoff(even, low)["apgr"] is None
    json.dumps(tradeoff(even, low), allow_nan=False)


def test_a_trade_is_not_told_where_a_cost_is_unknown_and_shares_of_two_arms_only_for_two() -> None:
    known = [setting(0.0, 0.006, 0.5), setting(0.5, 0.001, 0.4)]
    assert tradeoff(replace(ARMS, cost_usd=(0.001, math.nan)), known) == {}
    assert tradeoff(ARMS, [*known, setting(0.1, math.nan, 0.5)]) == {}
    three = Arms(("a", "b", "c"), (0.4, 0.8, 0.5), (0.001, 0.011, 0.002), (0.0, 0.1, 0.0))
    assert set(tradeoff(three, known)) == {"aiq", "aiq_static_hull", "cost_one_point_below"}
