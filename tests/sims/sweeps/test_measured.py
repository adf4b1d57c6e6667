from typing import Any

import numpy as np
import pytest

from highwayman.env.cost.efficiency import inference_efficiency
from highwayman.env.types import Floats
from highwayman.sims.measures.value import Choices
from highwayman.sims.simulation.scenario import Scenario, stationary
from highwayman.sims.sweeps.measured import Measured
from highwayman.sims.sweeps.results import BASELINE, POLICY
from highwayman.sims.tables.table import FullTable

WHERE = {"table": "t", "world": "w", "policy": "p", "seed": 3}
QUALITY = np.array([[0.1, 0.5], [0.9, 0.5], [0.2, 0.5], [0.8, 0.5], [0.1, 0.5]])
COSTS = np.broadcast_to([0.01, 0.04], (5, 2)).copy()


def course(**changes: Any) -> Scenario:
    """Return five rounds over two arms, in the order of the table."""
    table = FullTable.from_arrays(("a", "b"), QUALITY, cost_usd=COSTS)
    drawn = stationary(table, rounds=5, rng=np.random.default_rng(0))
    return drawn.reordered(np.argsort(drawn.rows)).replace(**changes)


def measured(choices: Choices, utility: Floats = QUALITY, **changes: Any) -> Measured:
    return Measured(course(**changes), utility, choices, where=WHERE)


def test_a_row_can_be_computed_by_hand() -> None:
    run = measured(np.array([1, 0, 0, 0, 0])).run(POLICY, exploration_usd=0.5)
    assert (run.table, run.world, run.policy, run.seed, run.kind, run.rounds) == ("t", "w", "p", 3, "policy", 5)
    assert run.value == run.quality == pytest.approx((0.5 + 0.9 + 0.2 + 0.8 + 0.1) / 5)
    assert run.cost_usd == pytest.approx((4 * 0.01 + 0.04) / 5)
    assert run.regret_fixed == pytest.approx(0.5 - 0.5)  # arm b has 0.5, arm a 0.42
    assert run.regret_oracle == pytest.approx((0.5 + 0.9 + 0.5 + 0.8 + 0.5) / 5 - 0.5)
    assert (run.first_value, run.last_value) == pytest.approx((0.5, 0.1))  # of five rounds the first and the last
    assert run.shares == pytest.approx((0.8, 0.2))
    assert run.exploration_usd == 0.5
    assert np.isnan([run.budget_usd, run.budget_ratio]).all()


def test_penalties_count_in_value_and_not_in_quality() -> None:
    run = measured(np.zeros(5, dtype=np.intp), QUALITY - [0.1, 0.0]).run(BASELINE)
    assert run.quality == pytest.approx(0.42)
    assert run.value == pytest.approx(0.32)
    assert run.regret_fixed == pytest.approx(0.5 - 0.32)


def test_probabilities_count_by_expectation() -> None:
    run = measured(np.full((5, 2), 0.5)).run(BASELINE)
    assert run.value == pytest.approx((0.42 + 0.5) / 2)
    assert run.cost_usd == pytest.approx(0.025)
    assert run.shares == (0.5, 0.5)


def test_stretches_hold_all_rounds_and_sum_up_to_the_run() -> None:
    one = measured(np.array([0, 1, 0, 1, 0]))
    bins, run = list(one.bins(2, np.array([True, True, False, True, False]))), one.run(POLICY)
    assert [bin.round for bin in bins] == [3, 5]
    assert [bin.feedback for bin in bins] == [2, 1]
    assert bins[0].value == pytest.approx((0.1 + 0.5 + 0.2) / 3)
    assert bins[1].value == pytest.approx((0.5 + 0.1) / 2)
    assert bins[0].regret == pytest.approx((0.5 - 0.1) + 0.0 + (0.5 - 0.2))
    assert bins[-1].regret == pytest.approx(5 * run.regret_fixed)
    assert bins[0].cost_usd == pytest.approx((0.01 + 0.04 + 0.01) / 3)
    assert bins[0].shares == pytest.approx((2 / 3, 1 / 3))
    assert [bin.feedback for bin in one.bins(5)] == [0] * 5


def test_a_ceiling_is_held_against_the_dearest_stretch() -> None:
    many = np.tile(np.arange(5), 60)
    long = course(budget_usd=0.02).reordered(many)
    run = Measured(long, long.quality, np.repeat([0, 1], 150), where=WHERE).run(POLICY)
    assert run.budget_usd == 0.02
    assert run.budget_ratio == pytest.approx(2.0)  # after the settling all rounds are of arm b


def test_a_run_too_short_for_a_pacer_to_settle_says_nothing_of_its_budget() -> None:
    run = measured(np.zeros(5, dtype=np.intp), budget_usd=0.02).run(POLICY)
    assert run.budget_usd == 0.02
    assert np.isnan(run.budget_ratio)


def test_efficiency_counts_latency_only_where_it_is_known_of_every_arm() -> None:
    known = np.full((5, 2), 1.0)
    some = np.array([1.0, np.nan])
    always_a = np.zeros(5, dtype=np.intp)
    thousand_usd = 1000 * 0.01
    assert measured(always_a, latency_s=known).run(POLICY).ies == pytest.approx((0.5 * 0.42 + 0.5 * 0.5) / thousand_usd)
    assert measured(always_a, latency_s=known * 0 + some).run(POLICY).ies == pytest.approx(0.42 / thousand_usd)
    assert np.isnan(measured(np.full((5, 2), 0.5)).run(BASELINE).ies)
    assert np.isnan(measured(always_a, cost_usd=COSTS * [0.0, 1.0]).run(POLICY).ies)


def test_a_simulated_call_has_the_efficiency_of_the_same_call_when_it_is_live() -> None:
    quality, latency_s, cost_usd = 0.8, 1.0, 0.002
    table = FullTable.from_arrays(
        ("a", "b"), np.full((1, 2), quality), cost_usd=np.full((1, 2), cost_usd), latency_s=np.full((1, 2), latency_s)
    )
    drawn = stationary(table, rounds=1, rng=np.random.default_rng(0))
    run = Measured(drawn, drawn.quality, np.zeros(1, dtype=np.intp), where=WHERE).run(POLICY)
    assert run.ies == inference_efficiency(quality, latency_s, cost_usd) == pytest.approx(0.325)
