"""How each policy over linear regressions chooses, on numbers a person can check."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.policies.cheapest import Cheapest
from highwayman.bandit.policies.epsilon_greedy import EpsilonGreedy
from highwayman.bandit.policies.fixed import Fixed
from highwayman.bandit.policies.lin_ucb import LinUCB
from highwayman.bandit.policies.softmax import Softmax
from highwayman.bandit.policies.square_cb import SquareCB
from highwayman.bandit.regression.linear_policy import LinearPolicy
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Context, Floats, RewardChange

UTILITIES = np.array([0.5, 0.6, 0.2])
KNOWN = PosteriorSummary(0.1, 0.0)
QUERY = Context(np.array([1.0]), "", 1)


def test_lin_ucb_takes_the_largest_bound_not_the_largest_mean() -> None:
    policy = LinUCB(d=1, alpha=0.5)
    assert policy.choose(UTILITIES, np.array([0.5, 0.1, 0.1]), KNOWN).tolist() == [1.0, 0.0, 0.0]  # .75, .65, .25
    assert policy.choose(UTILITIES, np.zeros(3), KNOWN).tolist() == [0.0, 1.0, 0.0]
    assert policy.choose(np.array([0.5, 0.5]), np.zeros(2), KNOWN).tolist() == [0.5, 0.5]


def test_a_new_arm_may_begin_like_another_which_loses_nothing_and_one_that_is_known_is_lent_nothing() -> None:
    policy = LinUCB(d=1)
    policy.add_arm("known")
    policy.learn([RewardChange("known", np.ones(1), 1.0, 1.0, 1.0)] * 100)
    policy.add_arm("new", like="known", weight=10.0)
    policy.add_arm("new", like="known", weight=10.0)
    policy.add_arm("other")
    assert [policy.weight_of(arm) for arm in ("known", "new", "other")] == pytest.approx([100.0, 10.0, 0.0])
    known, new, other = policy.expected_quality(QUERY, ("known", "new", "other"))
    assert known > new > other


def test_epsilon_greedy_spreads_epsilon_over_all() -> None:
    assert EpsilonGreedy(d=1, epsilon=0.3).choose(UTILITIES, np.zeros(3), KNOWN) == pytest.approx([0.1, 0.8, 0.1])


def test_softmax_makes_an_arm_better_by_the_temperature_e_times_as_likely() -> None:
    probs = Softmax(d=1, temperature=0.1).choose(UTILITIES, np.zeros(3), KNOWN)
    assert probs[1] / probs[0] == pytest.approx(np.e)
    assert probs[1] / probs[2] == pytest.approx(np.exp(4))


def test_square_cb_weighs_by_the_inverse_gap_and_gives_the_best_the_rest() -> None:
    probs = SquareCB(d=1, scale=10.0, power=0.0).choose(UTILITIES, np.zeros(3), KNOWN)
    assert probs == pytest.approx([1 / 4, 1 - 1 / 4 - 1 / 7, 1 / 7])  # gaps .1 and .4: 1 / (3 + 1), 1 / (3 + 4)


def test_square_cb_tries_less_the_more_it_has_seen() -> None:
    policy = SquareCB(d=1, scale=10.0, power=0.5)
    policy.add_arm("a")
    before = policy.choose(UTILITIES, np.zeros(3), policy.posterior.summary())
    policy.learn([RewardChange("a", np.ones(1), 1.0, 1.0, 1.0)] * 100)
    after = policy.choose(UTILITIES, np.zeros(3), policy.posterior.summary())
    assert after[1] > before[1]
    assert after[2] == pytest.approx(1 / (3 + 100 * 0.4))  # gamma = 10 sqrt(100)


def test_fixed_stays_with_its_arm_and_spreads_evenly_without_it() -> None:
    policy = Fixed(d=1, arm="b")
    assert policy.probs(QUERY, ["a", "b", "c"], np.zeros(3)).tolist() == [0.0, 1.0, 0.0]
    assert policy.probs(QUERY, ["a", "c"], np.zeros(2)).tolist() == [0.5, 0.5]


def test_cheapest_takes_the_smallest_penalty() -> None:
    assert Cheapest(d=1).probs(QUERY, ["a", "b", "c"], np.array([0.1, 0.0, 0.2])).tolist() == [0.0, 1.0, 0.0]
    assert Cheapest(d=1).probs(QUERY, ["a", "b"], np.zeros(2)).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LinUCB, {"alpha": -1.0}),
        (EpsilonGreedy, {"epsilon": 1.5}),
        (Softmax, {"temperature": 0.0}),
        (SquareCB, {"scale": 0.0}),
        (SquareCB, {"power": 2.0}),
    ],
)
def test_an_option_out_of_range_is_named(kind: type[LinearPolicy], options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be"):
        kind(d=1, **options)  # type: ignore[arg-type]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.floats(0.001, 3))
def test_every_choice_is_a_distribution_that_never_prefers_a_worse_arm(values: list[float], spread: float) -> None:
    utilities: Floats = np.array(values)
    equal = np.full(len(values), spread)
    for policy in (LinUCB(d=1), EpsilonGreedy(d=1), Softmax(d=1), SquareCB(d=1)):
        probs = policy.choose(utilities, equal, KNOWN)
        assert probs.min() >= 0
        assert probs.sum() == pytest.approx(1.0)
        best = utilities == utilities.max()
        assert probs[best].max() >= probs[~best].max(initial=0.0) - 1e-12
        others = np.argsort(utilities, kind="stable")[: len(values) - int(best.sum())]
        assert (np.diff(probs[others]) >= -1e-12).all()
