import numpy as np
import pytest

from highwayman.sims.baselines.best_fixed import BestFixed
from highwayman.sims.baselines.cheapest import Cheapest
from highwayman.sims.baselines.oracle import Oracle
from highwayman.sims.baselines.protocol import BaselineError
from highwayman.sims.baselines.static_mixture import StaticMixture
from highwayman.sims.tables.table import FullTable

QUALITY = np.array([[1.0, 0.0, 0.5], [1.0, 1.0, 0.5]])  # means 1, 0.5, 0.5
TABLE = FullTable.made(("dear", "cheap", "middling"), QUALITY, cost_usd=np.tile([3.0, 1.0, 2.0], (2, 1)))
FREE = FullTable.made(("a", "b", "c"), QUALITY)
RNG = np.random.default_rng(0)
CONTEXTS = np.ones((2, 1))


def test_the_best_fixed_arm_depends_on_the_penalties() -> None:
    assert BestFixed().choices(TABLE, CONTEXTS, np.zeros(3), RNG).tolist() == [[1.0, 0.0, 0.0]] * 2
    assert BestFixed().choices(TABLE, CONTEXTS, np.array([0.7, 0.0, 0.1]), RNG).tolist() == [[0.0, 1.0, 0.0]] * 2


def test_the_oracle_knows_each_answer() -> None:
    found = Oracle().choices(TABLE, CONTEXTS, np.array([0.7, 0.0, 0.0]), RNG)
    assert found.tolist() == [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


def test_the_cheapest_arm_is_the_one_of_least_mean_cost_and_an_unpriced_one_never() -> None:
    assert Cheapest().choices(TABLE, CONTEXTS, np.zeros(3), RNG).tolist() == [[0.0, 1.0, 0.0]] * 2
    some = FullTable.made(("a", "b"), QUALITY[:, :2], cost_usd=np.array([[np.nan, 5.0], [0.1, 5.0]]))
    assert Cheapest().choices(some, CONTEXTS, np.zeros(2), RNG).tolist() == [[0.0, 1.0]] * 2
    with pytest.raises(BaselineError, match="cheapest: no arm of the table has a cost"):
        Cheapest().choices(FREE, CONTEXTS, np.zeros(3), RNG)


def test_of_equally_cheap_arms_the_better_is_the_cheapest() -> None:
    same = FullTable.made(("a", "b", "c"), QUALITY, cost_usd=np.ones((2, 3)))
    assert Cheapest().choices(same, CONTEXTS, np.zeros(3), RNG)[0].tolist() == [1.0, 0.0, 0.0]


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
