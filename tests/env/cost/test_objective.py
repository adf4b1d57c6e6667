import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.cost.objective import ALIASES, Objective, penalties

COSTS = st.lists(st.none() | st.floats(0.0, 1.0), min_size=1, max_size=8)


def test_the_cheapest_pays_nothing_the_dearest_the_weight_and_ten_times_as_dear_weighs_the_same_anywhere() -> None:
    costs = [1e-6, 1e-5, 1e-4]
    assert penalties(costs, pool_usd=costs, cost_weight=0.3) == pytest.approx([0.0, 0.15, 0.3])


def test_without_a_price_or_for_free_there_is_no_penalty() -> None:
    costs = [None, 0.0, 1e-6, 1e-4]
    assert penalties(costs, pool_usd=costs, cost_weight=0.3) == pytest.approx([0.0, 0.0, 0.0, 0.3])


@pytest.mark.parametrize("costs", [[None, None], [0.0, 0.0], [None, 0.0]])
def test_where_nothing_has_a_price_nothing_is_penalised(costs: list[float | None]) -> None:
    assert penalties(costs, pool_usd=costs, cost_weight=0.3).tolist() == [0.0, 0.0]


def test_costs_closer_than_a_factor_two_are_not_stretched_to_the_full_weight() -> None:
    costs = [1e-6, 2**0.5 * 1e-6]
    assert penalties(costs, pool_usd=costs, cost_weight=0.3) == pytest.approx([0.0, 0.15])
    costs = [1e-6, 2e-6]
    assert penalties(costs, pool_usd=costs, cost_weight=0.3) == pytest.approx([0.0, 0.3])


def test_equal_costs_are_not_penalised() -> None:
    assert penalties([3e-6] * 3, pool_usd=[3e-6] * 3, cost_weight=0.3).tolist() == [0.0] * 3


def test_who_else_is_eligible_does_not_move_an_arms_penalty() -> None:
    pool = [1e-6, 1e-5, None, 1e-4]
    assert penalties([1e-5], pool_usd=pool, cost_weight=0.3) == pytest.approx([0.15])
    assert penalties([1e-4, 1e-5], pool_usd=pool, cost_weight=0.3) == pytest.approx([0.3, 0.15])


def test_a_weight_of_zero_forgets_cost() -> None:
    assert penalties([1e-6, 1.0], pool_usd=[1e-6, 1.0], cost_weight=0.0).tolist() == [0.0, 0.0]


@settings(deadline=None)
@given(COSTS, st.floats(0.0, 10.0))
def test_penalties_lie_between_zero_and_the_weight_and_follow_the_cost(
    costs: list[float | None], weight: float
) -> None:
    found = penalties(costs, pool_usd=costs, cost_weight=weight)
    assert found.shape == (len(costs),)
    assert found.min() >= 0.0
    assert found.max() <= weight * (1 + 1e-12)
    priced = sorted((cost, penalty) for cost, penalty in zip(costs, found, strict=True) if cost is not None)
    assert [penalty for _, penalty in priced] == sorted(penalty for _, penalty in priced)


def test_the_aliases_mind_cost_as_their_names_say() -> None:
    assert ALIASES["auto-quality"].cost_weight == 0.0
    assert 0.0 < ALIASES["auto"].cost_weight < ALIASES["auto-cheap"].cost_weight
    assert all(objective.name == alias for alias, objective in ALIASES.items())


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_that_is_no_number_from_zero_up_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="cost_weight must be a number >= 0"):
        Objective("mine", weight)
