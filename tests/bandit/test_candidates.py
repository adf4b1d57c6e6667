"""Which arms limits, a budget and failures leave to draw from. Who they are: `knowing.py`."""

from dataclasses import replace

import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules, decide
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.errors import BudgetExhausted, NoEligibleArm
from tests.bandit.knowing import ARMS, AUTO, CANDIDATES, CONTEXT, FLOOR, Knowing, Till, probs_of, rng


def test_arms_dearer_than_the_caller_allows_are_not_drawn_from() -> None:
    choice = decide(Knowing(), CONTEXT, CANDIDATES, FLOOR, limits=replace(AUTO, max_usd=2.0), at=0.0, rng=rng())
    assert choice.candidates.arms == ("ada", "bob")
    assert choice.candidates.usd.tolist() == [1.0, 2.0]


def test_where_no_arm_is_cheap_enough_the_prices_are_told() -> None:
    unpriced = replace(CANDIDATES, usd=np.array([1.0, np.nan, 4.0]))
    with pytest.raises(NoEligibleArm, match=r"at most \$0.5: ada about \$1; bob has no price; cy about \$4\."):
        decide(Knowing(), CONTEXT, unpriced, FLOOR, limits=replace(AUTO, max_usd=0.5), at=0.0, rng=rng())


def test_a_budget_bars_arms_and_its_price_is_among_the_penalties() -> None:
    choice = decide(Knowing(), CONTEXT, CANDIDATES, FLOOR, limits=AUTO, at=0.0, rng=rng(), budget=Till(3.0))
    assert choice.candidates.arms == ("ada", "bob")
    assert choice.candidates.penalties == pytest.approx([0.1, 0.3])
    with pytest.raises(BudgetExhausted, match="begins anew at 0:00 UTC"):
        decide(Knowing(), CONTEXT, CANDIDATES, FLOOR, limits=AUTO, at=0.0, rng=rng(), budget=Till(0.5))


@pytest.mark.parametrize(("least", "left"), [(0.5, ("bob", "cy")), (0.95, ("cy",)), (0.0, ARMS)])
def test_arms_must_reach_the_quality_asked_for_if_any_does(least: float, left: tuple[str, ...]) -> None:
    limits = replace(AUTO, min_quality=least)
    choice = decide(Knowing(), CONTEXT, CANDIDATES, FLOOR, limits=limits, at=0.0, rng=rng())
    assert choice.candidates.arms == left


def test_a_policy_that_expects_nothing_leaves_every_arm_whatever_quality_is_asked_for() -> None:
    limits = replace(AUTO, min_quality=0.95)
    choice = decide(Uniform(d=1), CONTEXT, CANDIDATES, FLOOR, limits=limits, at=0.0, rng=rng())
    assert choice.candidates.arms == ARMS


def test_a_quota_follows_its_arm_when_others_are_left_out() -> None:
    rules = ExplorationRules(0.0, ProbationQuota(share=0.5))
    candidates = replace(CANDIDATES, probation_usd=[None, 0.0, None])
    limits = replace(AUTO, min_quality=0.5)
    choice = decide(Knowing(), CONTEXT, candidates, rules, limits=limits, at=0.0, rng=rng())
    assert choice.candidates.arms == ("bob", "cy")
    assert choice.draw.probs.tolist() == [0.5, 0.5]


def test_quality_counts_times_the_chance_to_answer_at_all() -> None:
    failing = replace(CANDIDATES, chances=np.array([1.0, 1.0, 0.5]))
    choice = decide(Knowing(), CONTEXT, failing, FLOOR, limits=AUTO, at=0.0, rng=rng())
    assert choice.candidates.penalties.tolist() == pytest.approx([0.0, 0.1, 0.2 + 0.5 * 0.9])
    assert choice.draw.probs.argmax() == 1, "of cy .9 * .5 - .2 are left, of bob .6 - .1"
    assert choice.draw.probs == pytest.approx(probs_of(failing))


def test_an_arm_that_never_fails_is_what_it_was() -> None:
    well = replace(CANDIDATES, chances=np.ones(3))
    assert probs_of(well) == pytest.approx(probs_of())


def test_a_quality_that_is_wished_for_is_one_that_comes() -> None:
    failing = replace(CANDIDATES, chances=np.array([1.0, 1.0, 0.5]))
    limits = AUTO.with_overrides(min_quality=0.55)
    choice = decide(Knowing(), CONTEXT, failing, FLOOR, limits=limits, at=0.0, rng=rng())
    assert choice.candidates.arms == ("bob",)


def test_of_a_policy_that_expects_nothing_the_best_is_expected() -> None:
    failing = replace(CANDIDATES, chances=np.array([1.0, 1.0, 0.5]))
    choice = decide(Uniform(d=1), CONTEXT, failing, FLOOR, limits=AUTO, at=0.0, rng=rng())
    assert choice.candidates.penalties.tolist() == pytest.approx([0.0, 0.1, 0.7])
