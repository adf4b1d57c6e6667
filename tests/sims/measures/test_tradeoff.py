import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.measures.hull import Hull
from highwayman.sims.measures.tradeoff import aiq, cost_at_equal_quality

ARM_COST, ARM_QUALITY = np.array([1.0, 3.0]), np.array([0.4, 0.8])
SEEDS = st.integers(0, 2**32 - 1)


def router_aiq(cost: list[float], quality: list[float]) -> float:
    return aiq(np.array(cost), np.array(quality), arm_cost=ARM_COST, arm_quality=ARM_QUALITY)


def test_aiq_of_two_arms_is_the_mean_of_their_qualities() -> None:
    assert router_aiq([1.0, 3.0], [0.4, 0.8]) == pytest.approx(0.6)


def test_aiq_rises_with_a_setting_above_the_line_between_the_arms() -> None:
    # trapezes (0.4 + 0.7) / 2 and (0.7 + 0.8) / 2, each half of the range
    assert router_aiq([1.0, 2.0, 3.0], [0.4, 0.7, 0.8]) == pytest.approx(0.65)


def test_a_setting_below_the_line_changes_nothing() -> None:
    assert router_aiq([1.0, 2.0, 3.0], [0.4, 0.5, 0.8]) == pytest.approx(0.6)


def test_settings_outside_of_the_range_shape_the_hull_and_are_cut_off() -> None:
    # from (0, 0.4) to (4, 0.8): at cost 1 it is 0.5, at 3 it is 0.7
    assert router_aiq([0.0, 4.0], [0.4, 0.8]) == pytest.approx(0.6)
    assert router_aiq([0.5, 9.0], [0.7, 0.7]) == pytest.approx(0.7)


def test_a_single_setting_holds_for_more_money_and_is_mixed_with_the_cheapest_arm_for_less() -> None:
    assert router_aiq([1.0], [0.5]) == pytest.approx(0.5)
    assert router_aiq([2.0], [0.5]) == pytest.approx((0.45 + 0.5) / 2)  # from (1, 0.4) to (2, 0.5), then flat
    assert router_aiq([5.0], [0.6]) == pytest.approx(0.45)  # of the line from (1, 0.4) to (5, 0.6), up to cost 3
    assert router_aiq([2.0], [0.3]) == pytest.approx(0.4)  # worse than the cheapest arm, so nobody would use it


def test_where_all_arms_cost_the_same_aiq_says_whether_the_router_beats_the_best_at_that_cost() -> None:
    same = {"arm_cost": np.array([2.0, 2.0]), "arm_quality": ARM_QUALITY}
    assert aiq(np.array([1.0, 2.0]), np.array([0.5, 0.9]), **same) == pytest.approx(0.9)
    assert aiq(np.array([3.0]), np.array([0.9]), **same) == pytest.approx(0.8)


def test_where_the_cheapest_arm_is_the_best_the_range_is_its_cost() -> None:
    arms = {"arm_cost": ARM_COST, "arm_quality": np.array([0.8, 0.4])}
    assert aiq(np.array([1.0, 2.0]), np.array([0.85, 0.9]), **arms) == pytest.approx(0.85)
    assert aiq(np.array([2.0]), np.array([0.9]), **arms) == pytest.approx(0.8)


def test_an_arm_without_a_price_leaves_aiq_undefined() -> None:
    with pytest.raises(ValueError, match="cost of point 1"):
        aiq(ARM_COST, ARM_QUALITY, arm_cost=np.array([1.0, np.nan]), arm_quality=ARM_QUALITY)


@given(SEEDS, st.integers(1, 9))
def test_more_settings_never_lower_aiq(seed: int, some: int) -> None:
    rng = np.random.default_rng(seed)
    cost, quality = rng.uniform(0.5, 4.0, 10), rng.random(10)
    assert (
        router_aiq(cost.tolist(), quality.tolist()) >= router_aiq(cost[:some].tolist(), quality[:some].tolist()) - 1e-12
    )


@given(SEEDS)
def test_aiq_lies_between_nothing_and_the_best_quality_and_does_not_mind_the_currency(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, quality = rng.uniform(0.5, 4.0, 6), rng.random(6)
    found = aiq(cost, quality, arm_cost=cost, arm_quality=quality)
    assert 0.0 <= found <= quality.max() + 1e-12
    cents = aiq(cost * 100, quality, arm_cost=cost * 100, arm_quality=quality)
    assert cents == pytest.approx(found)


@given(SEEDS)
def test_the_arms_own_aiq_is_that_of_their_hull_and_no_mixture_of_them_exceeds_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arm_cost, arm_quality = rng.uniform(0.5, 4.0, 5), rng.random(5)
    static = aiq(arm_cost, arm_quality, arm_cost=arm_cost, arm_quality=arm_quality)
    blind = rng.dirichlet(np.ones(5), size=8)  # eight settings of a router that does not look at the prompt
    wasteful = rng.uniform(0.0, 0.3, 8)
    for extra, lost in ((0.0, 0.0), (wasteful, wasteful)):
        router = (blind @ arm_cost + extra, blind @ arm_quality - lost)
        assert aiq(*router, arm_cost=arm_cost, arm_quality=arm_quality) <= static + 1e-12


@given(SEEDS)
def test_a_router_that_is_better_or_cheaper_at_every_setting_has_no_lower_aiq(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, quality = rng.uniform(0.5, 4.0, 6), rng.random(6)
    arms = {"arm_cost": ARM_COST, "arm_quality": ARM_QUALITY}
    found = aiq(cost, quality, **arms)
    assert aiq(cost, quality + 0.05, **arms) >= found
    assert aiq(0.9 * cost, quality, **arms) >= found - 1e-12


def test_cost_at_equal_quality_compares_with_the_mixture_that_reaches_it() -> None:
    static = Hull.of(ARM_COST, ARM_QUALITY)
    router = Hull.of(np.array([1.0, 1.5, 3.0]), np.array([0.4, 0.6, 0.9]))
    assert cost_at_equal_quality(0.6, router=router, static=static) == pytest.approx(1.5 / 2.0)
    assert cost_at_equal_quality(0.4, router=router, static=static) == 1.0
    assert cost_at_equal_quality(0.9, router=router, static=static) == 0.0  # no mixture of arms gets there
    assert cost_at_equal_quality(0.9, router=static, static=router) == np.inf
    assert np.isnan(cost_at_equal_quality(0.95, router=router, static=static))


def test_nothing_is_cheaper_than_an_arm_that_is_free() -> None:
    free = Hull.of(np.array([0.0, 3.0]), np.array([0.4, 0.8]))
    router = Hull.of(np.array([1.0]), np.array([0.6]))
    assert cost_at_equal_quality(0.4, router=router, static=free) == np.inf
    assert np.isnan(cost_at_equal_quality(0.3, router=free, static=free))
