"""A slice of a quarter of the draws, whose baseline is Cy."""

from dataclasses import replace

import numpy as np
import pytest

from highwayman.bandit.candidates import Candidates
from highwayman.bandit.control_slice import ControlSlice
from highwayman.bandit.decision import Choice, ExplorationRules, decide, decision_probs
from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.cost.objective import Objective
from highwayman.env.types import Context

ARMS = ("ada", "bob", "cy")
CANDIDATES = Candidates(ARMS, usd=np.array([1.0, 2.0, 4.0]), penalties=np.zeros(3))
CONTEXT = Context(np.ones(1), "f", 1)
AUTO = Objective("auto", 0.0)
RULES = ExplorationRules(floor=0.1)
QUARTER_CY = ControlSlice(0.25, {"cy": 1.0})


def choose(control: ControlSlice | None, seed: int = 0, objective: Objective = AUTO) -> Choice:
    rng = np.random.default_rng(seed)
    rules = replace(RULES, control=control)
    return decide(Uniform(d=1), CONTEXT, CANDIDATES, rules, limits=objective, at=0.0, rng=rng)


def test_the_propensities_are_the_mixture_of_the_policy_and_the_baseline_whoever_drew() -> None:
    policy = decision_probs(Uniform(d=1), CONTEXT, CANDIDATES, RULES, explores=True, at=0.0)
    for seed in range(20):
        drawn = choose(QUARTER_CY, seed)
        assert drawn.draw.probs == pytest.approx(0.75 * policy + 0.25 * np.array([0, 0, 1]))
        assert drawn.draw.propensity == drawn.draw.probs[drawn.draw.action]


def test_arms_come_up_as_often_as_the_mixture_says_and_the_slice_as_often_as_its_share() -> None:
    drawn = [choose(QUARTER_CY, seed) for seed in range(4000)]
    counts = np.bincount([each.draw.action for each in drawn], minlength=3) / len(drawn)
    assert counts == pytest.approx([0.25, 0.25, 0.5], abs=0.03)
    taken = [each for each in drawn if each.control is not None and each.control.is_control]
    assert len(taken) / len(drawn) == pytest.approx(0.25, abs=0.03)
    assert {each.arm for each in taken} == {"cy"}


def test_a_draw_with_a_slice_takes_one_number_as_one_without_does() -> None:
    ones = np.random.default_rng(3), np.random.default_rng(3)
    for rng, control in zip(ones, (None, QUARTER_CY), strict=True):
        rules = replace(RULES, control=control)
        decide(Uniform(d=1), CONTEXT, CANDIDATES, rules, limits=AUTO, at=0.0, rng=rng)
    assert ones[0].random() == ones[1].random()


def test_nobody_who_wants_no_exploration_is_drawn_for_the_baseline() -> None:
    assert choose(QUARTER_CY, objective=replace(AUTO, explore=False)).control is None


def test_a_split_is_shared_out_among_those_of_its_arms_that_may_answer() -> None:
    split = ControlSlice(0.5, {"ada": 1.0, "cy": 3.0, "dan": 4.0})
    assert split.baseline_probs(ARMS) == pytest.approx([0.25, 0.0, 0.75])
    assert split.baseline_probs(("bob",)) is None
    assert choose(ControlSlice(0.5, {"dan": 1.0})).control is None


def test_what_the_log_says_of_a_draw_is_read_back_from_the_flags_of_its_context() -> None:
    drawn = choose(QUARTER_CY).control
    assert drawn is not None
    assert replace(CONTEXT, flags=drawn.flags | {"encoder_timeout"}).control == drawn
    assert CONTEXT.control is None
