"""What a weight between 0 and 1 is in points per dollar, for pools whose prices a person can check."""

from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.cost.objective import Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.env.types import Arm, ArmState


def arm(name: str, price: float | None, wh: float | None = None) -> Arm:
    return Arm(name, ("http://a",), name, price, price, 4096, wh_per_mtok=wh)


def test_a_weight_is_what_the_dearest_arm_must_be_better_by_on_a_call_of_1_256_tokens() -> None:
    spread = PoolSpread.of_arms([arm("small", 1.0), arm("large", 11.0, wh=100.0)])
    assert spread.usd == pytest.approx(10.0 * 1_256e-6)
    objective = Objective("auto", spread.points_per_usd(0.15))
    small, large = objective.penalties(np.array([1_256e-6, 11 * 1_256e-6]))
    assert large - small == pytest.approx(0.15)
    assert spread.points_per_wh(0.1) == pytest.approx(10.0 / (100.0 * 1_256e-6 / 2))


def test_ten_seconds_stand_for_what_the_slowest_arm_needs_more() -> None:
    assert PoolSpread().points_per_s(0.05) == pytest.approx(0.5)


def test_arms_that_cost_about_the_same_are_not_stretched_to_the_whole_weight() -> None:
    assert PoolSpread.of_amounts([1.0, 1.2]).usd == pytest.approx(0.6)
    assert PoolSpread.of_amounts([1.0, 1.0]).usd == pytest.approx(0.5)


def test_free_arms_count_and_those_nobody_knows_the_price_of_do_not() -> None:
    assert PoolSpread.of_amounts([0.0, 2.0, None, float("nan")]).usd == 2.0


@pytest.mark.parametrize("amounts", [[], [None], [0.0, 0.0], [None, 0.0]])
def test_where_nothing_costs_anything_a_weight_counts_for_nothing(amounts: list[float | None]) -> None:
    spread = PoolSpread.of_amounts(amounts)
    assert (spread.usd, spread.points_per_usd(0.5)) == (None, 0.0)


def test_no_weight_is_too_large_to_count_with() -> None:
    spread = PoolSpread.of_amounts([0.0, 1e-9])
    assert Objective("auto", spread.points_per_usd(1e300)).points_per_usd == 1e12


def test_a_draining_arm_does_not_set_the_scale() -> None:
    pool = [arm("small", 1.0), arm("large", 11.0)]
    judge = replace(arm("judge", 75.0), state=ArmState.DRAINING)
    assert PoolSpread.of_arms([*pool, judge]) == PoolSpread.of_arms(pool)
    assert PoolSpread.of_arms([judge]).usd
