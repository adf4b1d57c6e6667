"""The figures that `highwayman simulate` prints and writes are these measures, of these baselines."""

from functools import cache

import numpy as np
import pytest

from highwayman.env.encoder.encoder import make_encoder
from highwayman.sims.measures.hull import Hull
from highwayman.sims.measures.over_seeds import paired_difference
from highwayman.sims.measures.tradeoff import aiq
from highwayman.sims.sweeps.machines import Machines
from highwayman.sims.sweeps.plan import Plan
from highwayman.sims.sweeps.prepared import prepare
from highwayman.sims.sweeps.results import BASELINE, POLICY, Case, Results
from highwayman.sims.sweeps.summary import summary
from highwayman.sims.sweeps.sweep import sweep
from highwayman.sims.tables.table import FullTable

SHARE = 0.4  # of the way from the cheapest arm's cost to the dearest's
PLAN = Plan(
    policies=("LinTS", "Uniform"),
    worlds=("calm", f"Budget:share={SHARE}"),
    seeds=2,
    rounds=400,
    cost_weights=(0.15, 0.0, 1.0),
)


def made() -> FullTable:
    """Return 200 prompts of two kinds: `small` is good at soup alone, `large` at both, and ten times as dear."""
    rng = np.random.default_rng(0)
    asked = {"code": "Write a Python function that sorts list {}", "soup": "Give me recipe {} for a tomato soup"}
    tasks = rng.choice(list(asked), size=200)
    chance = np.where(tasks[:, None] == "code", [0.2, 0.9], [0.9, 0.95])
    return FullTable.from_arrays(
        ("small", "large"),
        (rng.random((200, 2)) < chance).astype(float),
        prompts=[asked[task].format(number) for number, task in enumerate(tasks)],
        tasks=tasks.tolist(),
        cost_usd=rng.gamma(4.0, [0.0001, 0.001], size=(200, 2)),
    )


@cache
def results() -> Results:
    """Return what the plan comes to on that table."""
    encoder = make_encoder("static")
    try:
        prepared = prepare("made", made(), encoder, PLAN)
    finally:
        encoder.close()
    return sweep(PLAN, [prepared], machines=Machines(), progress=lambda done, total: None, manifest={})


def calm_and_budget() -> tuple[Case, Case]:
    calm, budget = results().cases()
    return calm, budget


def mean(case: Case, name: str, column: str = "value") -> float:
    return float(case.values(name, column).mean())


def test_every_baseline_is_reported_in_every_world() -> None:
    for case in results().cases():
        assert set(case.names(BASELINE)) == {name.replace("_", " ") for name in PLAN.baselines}


def test_under_every_seed_nothing_earns_more_than_the_oracle_nor_regrets_less() -> None:
    for case in results().cases():
        for name in (*case.names(POLICY), *case.names(BASELINE)):
            lead = case.values("oracle") - case.values(name)
            assert (lead >= -1e-12).all()
            assert case.values(name, "regret_oracle") == pytest.approx(lead, abs=1e-12)


def test_regret_is_what_the_best_fixed_arm_earned_more_under_the_same_seed() -> None:
    for case in results().cases():
        for name in case.names(POLICY):
            gap = case.values("best fixed") - case.values(name)
            assert case.values(name, "regret_fixed") == pytest.approx(gap, abs=1e-12)


def test_no_arm_taken_for_every_prompt_earns_more_than_the_best_fixed_one() -> None:
    calm, _ = calm_and_budget()
    assert mean(calm, "best fixed") >= max(mean(calm, "cheapest"), mean(calm, "random")) - 1e-12


def test_shares_sum_to_one_and_are_those_of_the_choices() -> None:
    for case in results().cases():
        for run in case.runs:
            assert sum(run.shares) == pytest.approx(1.0)
    calm, _ = calm_and_budget()
    assert [run.shares for run in calm.of("random")] == [pytest.approx((0.5, 0.5))] * 2
    assert [run.shares for run in calm.of("cheapest")] == [(1.0, 0.0)] * 2


def test_where_all_cost_is_allowed_the_static_mixture_is_the_best_fixed_arm() -> None:
    calm, _ = calm_and_budget()
    assert calm.values("static mixture").tolist() == pytest.approx(calm.values("best fixed").tolist())


def test_under_a_budget_the_static_mixture_spends_it_and_reaches_the_hull_of_the_arms() -> None:
    _, budget = calm_and_budget()  # 400 rounds are twice all 200 prompts, so its means are the table's
    table, price = made(), np.array(budget.arms.penalty)
    assert mean(budget, "static mixture", "cost_usd") == pytest.approx(budget.budget_usd)
    hull = Hull.of(table.cost_usd.mean(axis=0), table.quality.mean(axis=0) - price)
    assert mean(budget, "static mixture") == pytest.approx(float(hull.quality_at(budget.budget_usd)))


def test_exploration_and_uniform_draws_cost_what_they_must() -> None:
    calm, _ = calm_and_budget()
    assert calm.values("Uniform", "exploration_usd").tolist() == [0.0] * 2  # it prefers no arm, so it explores none
    assert (calm.values("LinTS", "exploration_usd") > 0).all()


def test_the_summary_pairs_by_seed() -> None:
    calm, _ = calm_and_budget()
    row = next(row for row in summary(results())[0]["results"] if row["name"] == "LinTS")
    wanted = paired_difference(calm.values("LinTS"), calm.values("best fixed"))
    assert row["over_best_fixed"] == pytest.approx({"mean": wanted.mean, "low": wanted.low, "high": wanted.high})


def test_the_summarys_trade_off_is_of_all_cost_weights_and_a_blind_router_stays_below_the_hull() -> None:
    calm, _ = calm_and_budget()
    rows = {row["name"]: row for row in summary(results())[0]["results"]}
    found = [one for one in results().frontier if (one.world, one.policy) == ("calm", "LinTS")]
    arms = {"arm_cost": np.array(calm.arms.cost_usd), "arm_quality": np.array(calm.arms.quality)}
    cost, quality = (np.array([np.mean(getattr(one, name)) for one in found]) for name in ("cost_usd", "quality"))
    assert len(found) == len(PLAN.cost_weights)
    assert rows["LinTS"]["aiq"] == pytest.approx(aiq(cost, quality, **arms))
    # Uniform draws blindly: but for the luck of 800 draws it is a mixture of the two arms.
    assert rows["Uniform"]["aiq"] <= rows["Uniform"]["aiq_static_hull"] + 0.02
    assert rows["Uniform"]["apgr"] == pytest.approx(0.5, abs=0.1)
