"""The decision core, of arms and a policy that `knowing.py` has."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit.decision import ExplorationRules, decide, decision_probs
from highwayman.bandit.draw import mix
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.priced_floor import priced_floor
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.types import Context, Floats, RewardChange
from tests.bandit.knowing import ARMS, AUTO, CANDIDATES, CONTEXT, FLOOR, QUALITY, Knowing, probs_of, rng


def test_the_floor_is_mixed_into_what_the_policy_says() -> None:
    assert probs_of() == pytest.approx([0.7 * 0.1 + 0.1, 0.7 * 0.1 + 0.1, 0.7 * 0.8 + 0.1])


def test_what_is_drawn_has_the_probability_that_it_was_drawn_with() -> None:
    choices = [decide(Knowing(), CONTEXT, CANDIDATES, FLOOR, limits=AUTO, at=0.0, rng=rng(seed)) for seed in range(400)]
    assert {choice.draw.propensity for choice in choices} == set(probs_of().tolist())
    assert all(choice.draw.probs.tolist() == probs_of().tolist() for choice in choices)
    shares = np.bincount([choice.draw.action for choice in choices], minlength=3) / 400
    assert shares == pytest.approx(probs_of(), abs=0.07)
    assert {choice.arm for choice in choices} == set(ARMS)


def test_without_exploration_the_most_probable_arm_is_certain() -> None:
    choice = decide(Knowing(), CONTEXT, CANDIDATES, FLOOR, limits=replace(AUTO, explore=False), at=0.0, rng=rng())
    assert (choice.arm, choice.draw.propensity) == ("cy", 1.0)
    assert probs_of(explores=False).tolist() == [0.0, 0.0, 1.0]


def test_an_arm_on_probation_has_its_quota_until_it_has_cost_what_it_may() -> None:
    rules = ExplorationRules(0.0, ProbationQuota(share=0.5, max_usd=10.0))
    new, spent = (replace(CANDIDATES, probation_usd=[usd, None, None]) for usd in (9.0, 10.0))
    assert probs_of(new, rules)[0] == 0.5
    assert probs_of(spent, rules)[0] == pytest.approx(0.1)


def test_a_cap_that_grants_nothing_leaves_the_best_arm_alone_and_the_quota_its_own() -> None:
    capped = ExplorationRules(0.3, ProbationQuota(share=0.2), ExplorationCap(regret_per_request=0.0))
    assert probs_of(rules=capped).tolist() == [0.0, 0.0, 1.0]
    on_probation = replace(CANDIDATES, probation_usd=[0.0, None, None])
    assert probs_of(on_probation, capped) == pytest.approx([0.2, 0.0, 0.8])


def test_a_cap_in_dollars_grants_a_share_by_what_exploring_costs() -> None:
    cheap_best = replace(CANDIDATES, penalties=np.array([0.0, 0.9, 0.9]))  # ada is worth most: others cost more
    capped = ExplorationRules(0.3, cap=ExplorationCap(usd_per_day=24.0))  # a dollar an hour, the first at once
    full = probs_of(cheap_best)
    cost = float(full @ cheap_best.usd) - 1.0
    share = min(1.0 / cost, 1.0)
    assert share == 1.0
    assert probs_of(cheap_best, capped).tolist() == full.tolist()
    again = probs_of(cheap_best, capped)
    left = (1.0 - cost) / cost
    assert again == pytest.approx(left * full + (1.0 - left) * np.array([1.0, 0.0, 0.0]))


class Doubting(Knowing):
    """Takes Ada for the most probable arm, whatever it expects of her."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return np.array([0.5 if arm == "ada" else 0.5 / (len(arms) - 1) for arm in arms])


class Silent(Uniform):
    """Says which arms it would take, and nothing of what it expects of them."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return np.array([0.2, 0.7, 0.1])


@pytest.mark.parametrize(
    ("policy", "penalties", "left"),
    [
        (Doubting(), [0.0, 0.1, 0.2], "cy"),  # worth .4, .5 and .7
        (Doubting(), [0.0, 0.1, 0.6], "bob"),  # .4, .5 and .3
        (Silent(d=1), [0.0, 0.9, 0.0], "bob"),  # nothing is expected: the most probable
    ],
)
def test_what_a_cap_leaves_is_the_arm_worth_most_or_else_the_most_probable(
    policy: Uniform, penalties: list[float], left: str
) -> None:
    candidates = replace(CANDIDATES, penalties=np.array(penalties), usd=np.zeros(3))
    cap = ExplorationCap(regret_per_request=0.0) if isinstance(policy, Knowing) else ExplorationCap(usd_per_day=0.0)
    candidates = replace(candidates, usd=np.where(np.array(ARMS) == left, 0.0, 1.0))
    probs = decision_probs(policy, CONTEXT, candidates, replace(FLOOR, cap=cap), explores=True, at=0.0)
    assert dict(zip(ARMS, probs.tolist(), strict=True)) == {arm: float(arm == left) for arm in ARMS}


def test_a_cap_counts_the_cost_of_the_floor_and_of_the_policys_own_exploration() -> None:
    cap = ExplorationCap(regret_per_request=0.01)
    regret = 0.7 - float(probs_of() @ np.array([0.4, 0.5, 0.7]))
    probs = probs_of(rules=replace(FLOOR, cap=cap))
    assert probs == pytest.approx(0.01 / regret * probs_of() + (1 - 0.01 / regret) * np.array([0.0, 0.0, 1.0]))


class Sure(Knowing):
    """Is as good as certain of what it expects."""

    def quality_and_deviation(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        return np.array([QUALITY[arm] for arm in arms]), np.full(len(arms), 1e-6)


def test_a_floor_loses_no_more_than_it_may_by_what_the_policy_expects() -> None:
    priced = ExplorationRules(0.3, floor_loss=0.03)
    least = priced_floor(
        np.array([0.4, 0.6, 0.9]), np.full(3, 1e-6), CANDIDATES.penalties, floor=0.3, max_loss=0.03
    )  # utilities .4, .5, .7: gaps .3 and .2, roots .548 and .447; the tenths of .1 lose .005
    assert least == pytest.approx([0.01 + 0.025 / (0.5477 * 0.9949), 0.01 + 0.025 / (0.4472 * 0.9949), 0.1], rel=1e-3)
    assert least @ [0.3, 0.2, 0.0] == pytest.approx(0.03, rel=1e-3)
    probs = decision_probs(Sure(), CONTEXT, CANDIDATES, priced, explores=True, at=0.0)
    assert probs == pytest.approx((1 - least.sum()) * np.array([0.1, 0.1, 0.8]) + least)
    choice = decide(Sure(), CONTEXT, CANDIDATES, priced, limits=AUTO, at=0.0, rng=rng())
    assert choice.draw.probs.tolist() == probs.tolist()
    assert choice.draw.propensity == probs[choice.draw.action]


class Overriding(HierTS):
    """Has probabilities of its own making, and what it inherits expects."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return super().probs(context, arms, penalties)[::-1].copy()


def test_expectations_given_along_with_probabilities_make_the_same_floor_as_asked_for() -> None:
    rules = ExplorationRules(0.3, floor_loss=0.001)
    probs = {}
    for kind in (HierTS, Overriding):
        policy = kind(d=1)
        for arm, value in zip(ARMS, (0.2, 0.5, 0.9), strict=True):
            policy.add_arm(arm)
            policy.learn([RewardChange(arm, np.ones(1), 500.0, 500 * value, 500 * value)])
        probs[kind] = decision_probs(policy, CONTEXT, CANDIDATES, rules, explores=True, at=0.0)
        asked = rules.floor_for(policy, CONTEXT.features, ARMS, CANDIDATES.penalties)
        wanted = policy.probs(CONTEXT, ARMS, CANDIDATES.penalties)
        assert probs[kind].tolist() == mix(wanted, floor=asked).tolist()
    assert probs[HierTS].argmax() == 2
    assert probs[Overriding].argmax() == 0, "a subclass decides as it says itself"


def test_a_floor_is_even_where_nobody_says_how_sure_the_policy_is() -> None:
    assert probs_of(rules=ExplorationRules(0.3, floor_loss=0.0)).tolist() == probs_of().tolist()


def test_a_cap_takes_its_share_of_a_floor_that_is_priced() -> None:
    priced, capped = (
        ExplorationRules(0.3, floor_loss=0.03, cap=cap) for cap in (None, ExplorationCap(regret_per_request=0.03))
    )
    full, part = (
        decision_probs(Sure(), CONTEXT, CANDIDATES, rules, explores=True, at=0.0) for rules in (priced, capped)
    )
    utilities = np.array([0.4, 0.5, 0.7])
    share = 0.03 / (0.7 - full @ utilities)
    assert 0.05 < share < 1.0
    assert part == pytest.approx(share * full + (1 - share) * np.array([0.0, 0.0, 1.0]))


@given(
    st.lists(st.floats(0.0, 5.0), min_size=3, max_size=3),
    st.lists(st.none() | st.floats(0.0, 20.0), min_size=3, max_size=3),
    st.floats(0.0, 1.0),
    st.floats(0.0, 0.5),
    st.none() | st.floats(0.0, 0.2),
    st.booleans(),
)
def test_whatever_the_rules_probabilities_sum_to_one_and_no_floor_is_lost(
    usd: list[float],
    spent: list[float | None],
    floor: float,
    share: float,
    regret: float | None,
    explores: bool,
) -> None:
    cap = None if regret is None else ExplorationCap(regret_per_request=regret)
    candidates = replace(CANDIDATES, usd=np.array(usd), probation_usd=spent)
    probs = probs_of(candidates, ExplorationRules(floor, ProbationQuota(share=share), cap), explores=explores)
    assert probs.sum() == pytest.approx(1.0)
    assert probs.min() >= 0.0
    if explores and cap is None:
        assert probs.min() >= floor / 3 - 1e-12
