import numpy as np
import pytest

from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.cascade.teaching import first_arms_outcome, teach_gates
from highwayman.env.types import CascadeStage


def stage(good: float, goes_on: float, *, went_on: bool) -> CascadeStage:
    return CascadeStage("a", {"expected": 0.6, "next_expected": 0.8}, good, goes_on, went_on, "b")


def test_an_answer_that_was_kept_teaches_what_it_says_beyond_the_gate_the_more_the_rarer_it_is_kept() -> None:
    assert first_arms_outcome([stage(0.6, 0.0, went_on=False)], 1.0) == ("a", 1.0)
    assert first_arms_outcome([stage(0.6, 0.75, went_on=False)], 1.0) == ("a", pytest.approx(0.6 + 0.4 / 0.25))
    assert first_arms_outcome([stage(0.6, 0.99, went_on=False)], 1.0) == ("a", pytest.approx(0.6 + 0.4 * 10))


def test_an_answer_that_was_rejected_teaches_what_the_gate_said_of_it_whatever_the_next_one_was_worth() -> None:
    assert first_arms_outcome([stage(0.2, 0.98, went_on=True)], 1.0) == ("a", 0.2)


def test_what_an_arm_is_taught_has_the_right_mean_where_answers_that_were_kept_have_not() -> None:
    rng = np.random.default_rng(3)
    taught, kept = [], []
    for good in rng.random(40_000):
        reward = float(rng.random() < good)
        wrong = 0.3 + 0.2 * good  # of a gate that has learned little
        goes_on = 0.85 if wrong < 0.4 else 0.05
        went_on = bool(rng.random() < goes_on)
        taught.append(first_arms_outcome([stage(wrong, goes_on, went_on=went_on)], reward)[1])
        if not went_on:
            kept.append(reward)
    assert np.mean(kept) > 0.6  # naively
    assert np.mean(taught) == pytest.approx(0.5, abs=4 * np.std(taught) / 200)


def test_what_was_taught_and_taken_back_leaves_nothing() -> None:
    gates, empty = Gates(), Gates()
    stages = [
        CascadeStage("a", {"expected": 0.6, "estimate": 0.3, "next_expected": 0.8, "margin": 0.2}, 0.3, 0.9, True, "b"),
        CascadeStage("b", {"expected": 0.7, "estimate": 0.9, "margin": 0.8}, 0.9, 0.0, False),
    ]
    for served in ("b", "c"):
        teach_gates(gates, stages, served, weight=2.0, weighted=1.5, squared=1.2)
    taught = gates.judge("b", 0.7, {"margin": 0.8}).good
    assert taught != pytest.approx(0.7, abs=1e-3)
    teach_gates(empty, stages, "b", weight=0.0, weighted=0.0, squared=0.0)
    assert gates.distance(empty) > 0.1
    teach_gates(gates, stages, "b", weight=-2.0, weighted=-1.5, squared=-1.2)
    assert gates.distance(empty) < 1e-12
    assert gates.judge("b", 0.7, {"margin": 0.8}).good == pytest.approx(0.7)
