from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.sims.sweeps.dial import dial_settings, table_spread, useful_points_per_usd
from highwayman.sims.sweeps.prepared import fixed_penalties
from highwayman.sims.tables.table import FullTable
from tests.sims.sweeps.small import plan, table

COST, QUALITY = (0.001, 0.003, 0.021), (0.3, 0.5, 0.8)
FLAT = FullTable.from_arrays(
    ("small", "middle", "large"), np.tile(QUALITY, (6, 1)), cost_usd=np.tile(COST, (6, 1))
)  # edges of the hull: 0.2 for 0.002 dollars, 0.3 for 0.018


def test_a_weight_is_what_the_tables_dearest_arm_must_be_better_by_than_its_cheapest() -> None:
    (setting,) = dial_settings(FLAT, plan(cost_weights=(0.15,)))
    assert setting.objective.points_per_usd == pytest.approx(750.0)
    penalties = fixed_penalties(FLAT, setting.objective)
    assert penalties[2] - penalties[0] == pytest.approx(0.15)


def test_points_per_dollar_are_taken_as_they_are_and_the_first_is_reported() -> None:
    settings = dial_settings(FLAT, plan(points_per_usd=(2_000.0, 0.0)))
    assert [setting.objective.points_per_usd for setting in settings] == [2_000.0, 0.0]
    assert [setting.cost_weight for setting in settings] == pytest.approx([0.4, 0.0])


def test_the_useful_range_goes_from_free_past_every_edge_of_the_hull_to_the_cheapest_arm_alone() -> None:
    rates = useful_points_per_usd(FLAT, 8)
    flat, steep = 30 / 0.018, 20 / 0.002
    assert (rates[0], rates[1], rates[-1]) == pytest.approx((0.0, flat / 4, steep * 4))
    assert list(rates) == sorted(set(rates))
    best = [int((np.array(QUALITY) - Objective("a", rate).penalties(np.array(COST))).argmax()) for rate in rates]
    assert (best[0], best[-1], set(best)) == (2, 0, {0, 1, 2})


def test_an_arm_that_a_wide_range_of_rates_buys_has_a_setting_in_the_middle_of_it() -> None:
    cost = (0.001, 0.01, 1.0)  # of four settings at costs evenly on a log scale, the third is at the middle arm's
    rates = useful_points_per_usd(replace(FLAT, cost_usd=np.tile(cost, (6, 1))), 5)
    steep, flat = 20 / 0.009, 30 / 0.99
    assert rates[3] == pytest.approx(np.sqrt(steep * flat))


def test_a_free_arm_has_a_place_in_the_range() -> None:
    free = replace(FLAT, cost_usd=np.tile([0.0, 0.003, 0.021], (6, 1)))
    rates = useful_points_per_usd(free, 5)
    assert np.isfinite(rates).all()
    assert list(rates) == sorted(set(rates))


def test_settings_over_the_useful_range_come_after_the_one_that_is_reported() -> None:
    first, *others = dial_settings(FLAT, plan(cost_weights=(0.15,), dial=5))
    assert first.objective.points_per_usd == pytest.approx(750.0)
    assert [setting.objective.points_per_usd for setting in others] == pytest.approx(useful_points_per_usd(FLAT, 5))


def test_where_the_cheapest_arm_is_the_best_the_range_is_that_of_weights() -> None:
    even = replace(FLAT, quality=np.tile([0.8, 0.5, 0.3], (6, 1)))
    assert useful_points_per_usd(even, 3) == pytest.approx((0.0, 1 / 0.02, 100 / 0.02))


def test_without_prices_cost_counts_for_nothing_whatever_the_weight() -> None:
    bare = table(priced=False)
    assert table_spread(bare).usd is None
    settings = dial_settings(bare, plan(cost_weights=(0.15, 0.5), dial=4))
    assert [(setting.cost_weight, setting.objective.points_per_usd) for setting in settings] == [
        (0.15, 0.0),
        (0.5, 0.0),
    ]
