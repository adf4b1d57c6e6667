import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.measures.exploration import exploration_usd
from highwayman.sims.measures.value import (
    best_fixed,
    mean_cost,
    mean_quality,
    regret_best_fixed,
    regret_oracle,
    shares,
    taken,
    value,
)

QUALITY = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 1.0]])
ACTIONS = np.array([0, 0, 1])
SEEDS = st.integers(0, 2**32 - 1)


def test_value_is_quality_minus_penalty_of_what_was_taken() -> None:
    assert mean_quality(QUALITY, ACTIONS) == pytest.approx(2.5 / 3)
    assert value(QUALITY, np.array([0.1, 0.4]), ACTIONS) == pytest.approx((0.9 + 0.4 + 0.6) / 3)


def test_penalties_may_differ_from_round_to_round() -> None:
    penalties = np.array([[0.1, 0.0], [0.2, 0.0], [0.0, 0.3]])
    assert value(QUALITY, penalties, ACTIONS) == pytest.approx((0.9 + 0.3 + 0.7) / 3)


def test_probabilities_give_the_expectation() -> None:
    probs = np.array([[0.9, 0.1], [0.5, 0.5], [0.0, 1.0]])
    assert taken(QUALITY, probs).tolist() == pytest.approx([0.9, 0.75, 1.0])
    assert mean_cost(np.tile([1.0, 3.0], (3, 1)), probs) == pytest.approx((1.2 + 2.0 + 3.0) / 3)


def test_an_unknown_cost_counts_only_where_its_arm_may_be_taken() -> None:
    cost = np.array([[1.0, np.nan], [1.0, np.nan]])
    assert mean_cost(cost, np.array([[1.0, 0.0], [1.0, 0.0]])) == 1.0
    assert np.isnan(mean_cost(cost, np.array([0, 1])))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (np.array([0, 1]), "need 3 integers"),
        (np.array([0.0, 1.0, 0.0]), "need 3 integers"),
        (np.array([0, 2, 0]), "from 0 to 1, got 0 to 2"),
        (np.array([0, -1, 0]), "from 0 to 1, got -1 to 0"),
        (np.ones((3, 3)), "probabilities have shape"),
    ],
)
def test_choices_that_do_not_fit_are_refused(choices: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        taken(QUALITY, choices)


def test_regret_against_the_best_fixed_arm_is_negative_where_routing_pays() -> None:
    assert best_fixed(QUALITY).tolist() == [1, 1, 1]
    assert regret_best_fixed(QUALITY, ACTIONS).tolist() == [-1.0, 0.5, 0.0]
    assert regret_oracle(QUALITY, ACTIONS).tolist() == [0.0, 0.5, 0.0]


def test_where_arms_come_and_go_the_best_that_is_there_counts() -> None:
    utility = np.array([[0.5, 0.9, 0.1], [0.5, 0.9, 0.1], [0.5, 0.0, 0.2]])
    available = np.array([[True, False, True], [True, True, True], [False, False, True]])
    assert best_fixed(utility, available).tolist() == [0, 1, 2]
    assert regret_oracle(utility, np.array([2, 0, 2]), available).tolist() == pytest.approx([0.4, 0.4, 0.0])


def test_a_round_without_any_arm_is_named() -> None:
    with pytest.raises(ValueError, match="round 1"):
        best_fixed(np.zeros((2, 2)), np.array([[True, True], [False, False]]))


def test_shares_are_per_stretch_of_time() -> None:
    assert shares(np.array([0, 0, 1, 1, 1, 0]), arms=3, bins=2).tolist() == pytest.approx(
        np.array([[2 / 3, 1 / 3, 0.0], [1 / 3, 2 / 3, 0.0]])
    )
    assert shares(np.array([[0.5, 0.5], [0.0, 1.0]]), arms=2, bins=1).tolist() == [[0.25, 0.75]]
    with pytest.raises(ValueError, match="bins must be from 1 to the number of rounds, 2"):
        shares(np.array([0, 1]), arms=2, bins=3)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (np.array([0, -1]), "from 0 to 2, got -1 to 0"),
        (np.array([0, 3]), "from 0 to 2, got 0 to 3"),
        (np.ones((2, 2)) / 2, "probabilities have shape"),
    ],
)
def test_shares_are_of_the_arms_there_are(choices: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shares(choices, arms=3, bins=1)


@given(SEEDS, st.integers(1, 12))
def test_shares_of_every_stretch_sum_to_one_and_average_to_those_of_the_whole(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    actions = rng.integers(4, size=bins * int(rng.integers(1, 6)))  # stretches of equal length
    found = shares(actions, arms=4, bins=bins)
    assert found.sum(axis=1).tolist() == pytest.approx([1.0] * bins)
    assert found.mean(axis=0).tolist() == pytest.approx((np.bincount(actions, minlength=4) / len(actions)).tolist())


def test_exploring_costs_what_the_other_arms_cost_beyond_the_first_choice() -> None:
    cost = np.array([[1.0, 3.0], [3.0, 1.0]])
    probs = np.array([[0.9, 0.1], [0.9, 0.1]])  # expected 1.2 instead of 1, then 2.8 instead of 3
    assert exploration_usd(cost, probs) == pytest.approx(0.2)
    assert exploration_usd(cost, probs, net=True) == pytest.approx(0.0)


def test_a_router_that_prefers_no_arm_explores_at_no_cost_whatever_the_order_of_arms() -> None:
    for cost in ([[1.0, 3.0, 8.0]], [[8.0, 1.0, 3.0]]):
        assert exploration_usd(np.array(cost), np.full((1, 3), 1 / 3), net=True) == pytest.approx(0.0)
    # Of two first choices the mean counts, 2; what is expected to be spent is 1.8 + 0.8.
    assert exploration_usd(np.array([[1.0, 3.0, 8.0]]), np.array([[0.45, 0.45, 0.1]])) == pytest.approx(0.6)
    assert exploration_usd(np.array([[3.0, 8.0, 1.0]]), np.array([[0.45, 0.1, 0.45]])) == pytest.approx(0.6)


@given(SEEDS)
def test_exploration_spends_at_least_what_it_spends_on_balance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, probs = rng.random((20, 4)), rng.dirichlet(np.ones(4), size=20)
    assert exploration_usd(cost, probs) >= max(exploration_usd(cost, probs, net=True), 0.0)
    greedy = np.eye(4)[probs.argmax(axis=1)]
    assert exploration_usd(cost, greedy) == 0.0


def test_exploring_an_arm_without_a_price_costs_nobody_knows_what() -> None:
    cost = np.array([[1.0, np.nan], [1.0, np.nan]])
    assert np.isnan(exploration_usd(cost, np.array([[0.9, 0.1], [1.0, 0.0]])))
    assert exploration_usd(cost, np.array([[1.0, 0.0], [1.0, 0.0]])) == 0.0


@given(SEEDS)
def test_regrets_differ_by_what_the_oracle_is_ahead_of_the_best_fixed_arm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    utility, choices = rng.normal(size=(20, 4)), rng.integers(4, size=20)
    ahead = regret_oracle(utility, choices) - regret_best_fixed(utility, choices)
    assert ahead.tolist() == pytest.approx(regret_oracle(utility, best_fixed(utility)).tolist())


@given(SEEDS)
def test_no_choice_beats_the_oracle_nor_one_arm_the_best_fixed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    utility = rng.normal(size=(20, 4))
    assert (regret_oracle(utility, rng.dirichlet(np.ones(4), size=20)) >= -1e-12).all()
    assert all(regret_best_fixed(utility, np.full(20, arm)).sum() >= -1e-9 for arm in range(4))


@given(SEEDS)
def test_a_drawn_action_earns_the_expectation_on_average(seed: int) -> None:
    rng = np.random.default_rng(seed)
    utility, probs = rng.random((5, 3)), rng.dirichlet(np.ones(3), size=5)
    by_hand = [sum(probs[t, k] * utility[t, k] for k in range(3)) for t in range(5)]
    assert taken(utility, probs).tolist() == pytest.approx(by_hand)
