from collections.abc import Sequence

import numpy as np
import pytest

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.cascade.plan import CascadePlan, CascadeRules, LookedAt, Threshold
from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.types import Context, Floats

ARMS = ("cheap", "middle", "dear")
CONTEXT = Context(np.array([1.0]), "", 10)


class Expects:
    """A policy that expects a fixed quality of each arm, and is never asked for anything else."""

    def __init__(self, **quality: float) -> None:
        self._quality = quality

    def expected_quality(self, context: Context, arms: tuple[str, ...]) -> Floats:
        return np.array([self._quality[arm] for arm in arms])


POLICY = Expects(cheap=0.6, middle=0.7, dear=0.9)


def candidates(*penalties: float) -> Candidates:
    return Candidates(ARMS, np.array([1.0, 2.0, 4.0]), np.array(penalties))


def test_where_signals_tell_nothing_yet_no_cascade_is_worth_it() -> None:
    plan = CascadePlan()
    for penalties in ((0.0, 0.1, 0.2), (0.0, 0.0, 0.0), (0.0, 0.1, 0.5)):
        assert plan.option_values(POLICY, CONTEXT, candidates(*penalties)).tolist() == [0.0, 0.0, 0.0]


def test_an_answer_that_lies_there_is_as_good_as_the_policy_expects_until_anything_is_learned() -> None:
    choice = CascadePlan().next_stage(
        POLICY, CONTEXT, candidates(0.0, 0.1, 0.5), [LookedAt("cheap", {"verified": 0.1})], rng=np.random.default_rng(0)
    )
    assert choice.good == pytest.approx(0.6)
    assert choice.next_arm == "middle"  # .7 - .1, the best there is, though no better than what lies there
    assert not choice.went_on
    assert choice.signals == pytest.approx({"verified": 0.1, "expected": 0.6, "estimate": 0.6, "next_expected": 0.7})


def test_a_better_arm_is_asked_next_at_its_penalty_without_the_option_taken_off() -> None:
    with_options = Candidates(ARMS, np.ones(3), np.array([0.0, -0.3, 0.1]), options=np.array([0.0, 0.4, 0.0]))
    choice = CascadePlan().next_stage(
        POLICY, CONTEXT, with_options, [LookedAt("cheap", {})], rng=np.random.default_rng(0)
    )
    assert choice.next_arm == "dear"
    assert choice.went_on


def test_goes_on_is_the_share_of_draws_that_go_on() -> None:
    plan, rng = CascadePlan(CascadeRules(floor=0.3, floor_loss=1.0)), np.random.default_rng(1)
    choices = [
        plan.next_stage(POLICY, CONTEXT, candidates(0.0, 0.1, 0.5), [LookedAt("cheap", {})], rng=rng)
        for _ in range(4_000)
    ]
    assert choices[0].goes_on == pytest.approx(0.3)
    assert np.mean([choice.went_on for choice in choices]) == pytest.approx(0.3, abs=0.03)


def test_what_the_floor_loses_is_bounded() -> None:
    plan = CascadePlan(CascadeRules(floor=0.02, floor_loss=0.0005))
    far = Expects(cheap=0.9, middle=0.2, dear=0.1)
    choice = plan.next_stage(far, CONTEXT, candidates(0, 0, 0), [LookedAt("cheap", {})], rng=np.random.default_rng(0))
    assert 0.0 < choice.goes_on < 0.02


def test_nobody_explores_where_the_caller_forbids_it() -> None:
    choice = CascadePlan().next_stage(
        POLICY,
        CONTEXT,
        candidates(0.0, 0.1, 0.5),
        [LookedAt("cheap", {})],
        rng=np.random.default_rng(0),
        explores=False,
    )
    assert choice.goes_on == 0.0


def test_after_the_last_stage_or_arm_the_answer_is_served() -> None:
    answers = [LookedAt("cheap", {}), LookedAt("middle", {})]
    rng = np.random.default_rng(0)
    second = CascadePlan().next_stage(POLICY, CONTEXT, candidates(0.0, 0.0, 0.0), answers, rng=rng)
    assert (second.goes_on, second.next_arm) == (0.0, "")
    longer = CascadePlan(CascadeRules(max_stages=3))
    assert longer.next_stage(POLICY, CONTEXT, candidates(0.0, 0.0, 0.0), answers, rng=rng).next_arm == "dear"
    answers.append(LookedAt("dear", {}))
    assert (
        CascadePlan(CascadeRules(max_stages=4))
        .next_stage(POLICY, CONTEXT, candidates(0.0, 0.0, 0.0), answers, rng=rng)
        .next_arm
        == ""
    )


def test_a_threshold_begins_with_the_cheapest_arm_and_asks_the_next_dearer_one_below_it() -> None:
    plan = CascadePlan(CascadeRules(floor=0.0, threshold=Threshold("first_margin", 0.7)))
    ready = plan.with_options(POLICY, CONTEXT, candidates(0.0, 0.1, 0.5))
    assert (ready.penalties.argmin(), ready.options[0] > 0) == (0, True)
    assert (0.0 - ready.penalties[0]) > (1.0 - ready.penalties[1:]).max() - 1e-12
    rng = np.random.default_rng(0)
    unsure = plan.next_stage(POLICY, CONTEXT, ready, [LookedAt("cheap", {"first_margin": 0.69})], rng=rng)
    assert (unsure.went_on, unsure.goes_on, unsure.next_arm) == (True, 1.0, "middle")
    for signals in ({"first_margin": 0.7}, {}):
        sure = plan.next_stage(POLICY, CONTEXT, ready, [LookedAt("cheap", signals)], rng=rng)
        assert (sure.went_on, sure.goes_on) == (False, 0.0)


def test_rules_that_cannot_be_are_refused() -> None:
    for wrong in ({"max_stages": 1}, {"floor": 0.6}, {"floor_loss": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            CascadeRules(**wrong)
    with pytest.raises(ValueError, match="answered"):
        CascadePlan().next_stage(POLICY, CONTEXT, candidates(0, 0, 0), [], rng=np.random.default_rng(0))


class Looks(Gates):
    """Gates by which the cheap arm's answers look wholly good or wholly bad, and no other's tell anything."""

    def looks(self, arms: Sequence[str], expected: Floats) -> Floats:
        told = np.repeat(expected[:, None], 2, axis=1)
        told[list(arms).index("cheap")] = 0.0, 1.0
        return told


class IsUnsure(Expects):
    """The same policy, a tenth unsure of every arm."""

    def quality_and_deviation(self, features: Floats, arms: tuple[str, ...]) -> tuple[Floats, Floats]:
        return np.array([self._quality[arm] for arm in arms]), np.full(len(arms), 0.1)


def test_an_option_is_worth_the_mean_of_the_better_of_serving_and_going_on_beyond_what_is_expected() -> None:
    policy, plan = Expects(cheap=0.5, middle=0.2, dear=0.9), CascadePlan(gates=Looks())
    offered = candidates(0.01, 0.0, 0.2)
    # (max(0, .9 - .2) + max(1, .9 - .2)) / 2 - .5; with .01 for the answer itself .84 in place of .7 for the dear arm
    assert plan.option_values(policy, CONTEXT, offered) == pytest.approx([0.35, 0.0, 0.0])
    assert plan.option_values(policy, CONTEXT, offered, looking=np.full(3, 0.1)) == pytest.approx([0.25, 0.0, 0.0])
    assert plan.option_values(policy, CONTEXT, offered, looking=np.full(3, 0.2)).tolist() == [0.0, 0.0, 0.0]
    assert plan.option_values(policy, CONTEXT, candidates(0.2, 0.0, 0.2)).tolist() == [0.0, 0.0, 0.0]  # .65 for .7


def test_with_options_takes_them_off_the_penalties_and_decide_keeps_them_for_the_next_stage() -> None:
    plan = CascadePlan(gates=Looks())
    ready = plan.with_options(Expects(cheap=0.5, middle=0.2, dear=0.9), CONTEXT, candidates(0.01, 0.0, 0.2))
    assert ready.penalties == pytest.approx([-0.34, 0.0, 0.2])
    left = ready.where(np.array([True, False, True]))
    assert left.options == pytest.approx([0.35, 0.0])


def test_an_arm_is_taken_for_better_than_expected_only_where_trying_is_allowed() -> None:
    plan, policy = CascadePlan(), IsUnsure(cheap=0.6, middle=0.7, dear=0.9)
    for arm in ARMS:
        for margin in np.linspace(0.0, 1.0, 40):
            plan.gates.on_look(arm, {"margin": margin, "expected": 0.6})
            good = float(margin > 0.6)
            plan.gates.learn(arm, {"margin": margin, "expected": 0.6}, weight=9.0, weighted=9 * good, squared=9 * good)
    hoped, sober = (
        plan.option_values(policy, CONTEXT, candidates(0.0, 0.1, 0.35), explores=explores) for explores in (True, False)
    )
    assert hoped[0] > sober[0] + 0.01
    assert sober[0] > 0.05


def test_what_is_hoped_of_an_arm_is_more_the_more_evenly_its_answers_are_served_and_gone_on_from() -> None:
    class Evenly(Looks):
        def __init__(self, share: float) -> None:
            super().__init__()
            self._share = share

        def looks(self, arms: Sequence[str], expected: Floats) -> Floats:
            told = np.repeat(expected[:, None], 100, axis=1)
            told[list(arms).index("cheap")] = np.arange(100) >= 100 * self._share
            return told

    policy, offered = IsUnsure(cheap=0.5, middle=0.2, dear=0.9), candidates(0.0, 0.0, 0.3)
    hopes = []
    for share in (0.5, 0.1, 0.0):
        plan = CascadePlan(gates=Evenly(share))
        hoped, sober = (plan.option_values(policy, CONTEXT, offered, explores=explores) for explores in (True, False))
        hopes.append(float(hoped[0] - sober[0]))
        assert hoped[1:].tolist() == sober[1:].tolist() == [0.0, 0.0]  # served whatever they look like
    assert hopes == pytest.approx([0.2, 8 * 0.1 * 0.09, 0.0])  # two deviations; none where all answers are served


def test_a_policy_that_does_not_say_what_it_expects_can_be_asked_all_the_same() -> None:
    ready = CascadePlan().with_options(Uniform(d=1), CONTEXT, candidates(0.0, 0.1, 0.5))
    choice = CascadePlan().next_stage(
        Uniform(d=1), CONTEXT, ready, [LookedAt("cheap", {})], rng=np.random.default_rng(0)
    )
    assert choice.good == pytest.approx(0.5)
