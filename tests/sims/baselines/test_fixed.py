from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.baselines.best_fixed import BestFixed
from highwayman.sims.baselines.cheapest import CheapestBaseline
from highwayman.sims.baselines.oracle import Oracle
from highwayman.sims.baselines.protocol import BaselineError
from highwayman.sims.baselines.random import Random
from highwayman.sims.baselines.static_mixture import StaticMixture
from highwayman.sims.measures.hull import Hull
from highwayman.sims.tables.table import FullTable

QUALITY = np.array([[1.0, 0.0, 0.5], [1.0, 1.0, 0.5]])  # means 1, 0.5, 0.5
TABLE = FullTable.from_arrays(("dear", "cheap", "middling"), QUALITY, cost_usd=np.tile([3.0, 1.0, 2.0], (2, 1)))
FREE = FullTable.from_arrays(("a", "b", "c"), QUALITY)
RNG = np.random.default_rng(0)
CONTEXTS = np.ones((2, 1))


def test_the_best_fixed_arm_depends_on_the_penalties() -> None:
    assert BestFixed().choices(TABLE, CONTEXTS, np.zeros(3), RNG).tolist() == [[1.0, 0.0, 0.0]] * 2
    assert BestFixed().choices(TABLE, CONTEXTS, np.array([0.7, 0.0, 0.1]), RNG).tolist() == [[0.0, 1.0, 0.0]] * 2


def test_the_oracle_knows_each_answer() -> None:
    found = Oracle().choices(TABLE, CONTEXTS, np.array([0.7, 0.0, 0.0]), RNG)
    assert found.tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_the_cheapest_arm_is_the_one_of_least_mean_cost_and_an_unpriced_one_never() -> None:
    assert CheapestBaseline().choices(TABLE, CONTEXTS, np.zeros(3), RNG).tolist() == [[0.0, 1.0, 0.0]] * 2
    some = FullTable.from_arrays(("a", "b"), QUALITY[:, :2], cost_usd=np.array([[np.nan, 5.0], [0.1, 5.0]]))
    assert CheapestBaseline().choices(some, CONTEXTS, np.zeros(2), RNG).tolist() == [[0.0, 1.0]] * 2
    with pytest.raises(BaselineError, match="cheapest: no arm of the table has a cost"):
        CheapestBaseline().choices(FREE, CONTEXTS, np.zeros(3), RNG)


def test_of_equally_cheap_arms_the_better_is_the_cheapest() -> None:
    same = FullTable.from_arrays(("a", "b", "c"), QUALITY, cost_usd=np.ones((2, 3)))
    assert CheapestBaseline().choices(same, CONTEXTS, np.zeros(3), RNG)[0].tolist() == [1.0, 0.0, 0.0]


def test_random_takes_every_arm_alike_whatever_it_costs() -> None:
    found = Random().choices(TABLE, CONTEXTS, np.array([9.0, 0.0, 0.0]), RNG)
    assert found.tolist() == [[pytest.approx(1 / 3)] * 3] * 2


def test_penalties_of_single_prompts_count_by_their_mean_for_a_fixed_arm_and_one_by_one_for_the_oracle() -> None:
    penalties = np.array([[0.9, 0.0, 0.0], [0.0, 0.0, 0.0]])  # `dear`: 0.1 and 1, as a mean 0.55; `cheap`: 0 and 1
    assert BestFixed().choices(TABLE, CONTEXTS, penalties, RNG).tolist() == [[1.0, 0.0, 0.0]] * 2
    assert StaticMixture().choices(TABLE, CONTEXTS, penalties, RNG).tolist() == [[1.0, 0.0, 0.0]] * 2
    assert Oracle().choices(TABLE, CONTEXTS, penalties, RNG).tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_a_budget_between_two_arms_mixes_them() -> None:
    found = StaticMixture(budget_usd=2.0).choices(TABLE, CONTEXTS, np.zeros(3), RNG)
    assert found.tolist() == [[0.5, 0.5, 0.0]] * 2  # worth 0.75 at a cost of 2, where `middling` is worth 0.5


def test_a_budget_that_nobody_uses_up_buys_the_best_arm() -> None:
    assert StaticMixture(budget_usd=9.0).mixture(TABLE, np.zeros(3)).tolist() == [1.0, 0.0, 0.0]


def test_under_penalties_the_budget_buys_utility_not_quality() -> None:
    assert StaticMixture(budget_usd=9.0).mixture(TABLE, np.array([0.7, 0.0, 0.0])).tolist() == [0.0, 1.0, 0.0]


def test_a_budget_needs_prices_and_at_least_the_cheapest_one() -> None:
    with pytest.raises(BaselineError, match="no arm of the table has a cost"):
        StaticMixture(budget_usd=1.0).mixture(FREE, np.zeros(3))
    with pytest.raises(BaselineError, match=r"too small: no mixture costs as little as 0\.5"):
        StaticMixture(budget_usd=0.5).mixture(TABLE, np.zeros(3))
    with pytest.raises(ValueError, match="budget_usd"):
        StaticMixture(budget_usd=0.0)


def test_without_a_budget_prices_are_not_needed() -> None:
    assert StaticMixture().mixture(FREE, np.zeros(3)).tolist() == [1.0, 0.0, 0.0]


def test_an_arm_without_a_price_takes_no_part_under_a_budget() -> None:
    costs = np.array([[np.nan, 1.0, 2.0], [3.0, 1.0, 2.0]])
    quality = np.array([[1.0, 0.0, 0.7], [1.0, 1.0, 0.7]])
    some = FullTable.from_arrays(("unpriced", "cheap", "middling"), quality, cost_usd=costs)
    assert StaticMixture(budget_usd=1.25).mixture(some, np.zeros(3)).tolist() == pytest.approx([0.0, 0.75, 0.25])


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.2))
def test_the_mixture_is_the_best_of_all_pairs_of_arms_within_the_budget_and_lies_on_the_hull(
    seed: int, part: float
) -> None:
    rng = np.random.default_rng(seed)
    quality, costs = rng.random((3, 5)), rng.uniform(0.1, 2.0, 5)
    table = FullTable.from_arrays(tuple("abcde"), quality, cost_usd=np.tile(costs, (3, 1)))
    penalties = rng.random(5) / 2
    worth, costs = (quality - penalties).mean(axis=0), np.array(table.mean_costs(), dtype=np.float64)
    budget = float(costs.min() + part * (costs.max() - costs.min()))
    mixture = StaticMixture(budget_usd=budget).mixture(table, penalties)
    assert mixture.sum() == pytest.approx(1.0)
    assert mixture @ costs <= budget + 1e-9
    assert mixture @ worth == pytest.approx(float(Hull.of(costs, worth).quality_at(budget)))
    assert mixture @ worth == pytest.approx(best_of_pairs(worth, costs, budget))


def best_of_pairs(worth: np.ndarray, costs: np.ndarray, budget: float) -> float:
    """Return the best mean worth of one arm or of two that spend the budget exactly: what a linear program finds."""
    found = [float(worth[arm]) for arm in range(len(costs)) if costs[arm] <= budget + 1e-12]
    for left, right in combinations(np.argsort(costs), 2):
        if costs[left] < budget < costs[right]:
            share = (budget - costs[left]) / (costs[right] - costs[left])
            found.append(float(worth[left] + share * (worth[right] - worth[left])))
    return max(found)
