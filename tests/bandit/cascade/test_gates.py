import json

import numpy as np
import pytest

from highwayman.bandit.cascade.calibration import IsotonicCalibration, expected_calibration_error
from highwayman.bandit.cascade.gates import Gates
from highwayman.env.types import Floats

ARMS = ("a", "b", "c")


def answers(n: int, *, seed: int) -> list[tuple[str, float, dict[str, float], float]]:
    """Return arm, expected quality, signals and whether it is good: what signals tell bends, and differs by arm."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(n):
        arm = ARMS[rng.integers(3)]
        expected = float(rng.uniform(0.3, 0.9))
        margin = float(rng.random())
        logprob = float(-rng.exponential(0.5))
        logit = 2.0 * (expected - 0.6) + 6.0 * (margin - 0.5) ** 3 * 4.0 + 2.0 * (np.exp(logprob) - 0.6)
        good = 1.0 / (1.0 + np.exp(-logit - ARMS.index(arm) + 1))
        signals = {"margin": margin} | ({"logprob": logprob} if rng.random() < 0.8 else {})
        drawn.append((arm, expected, signals, float(rng.random() < good)))
    return drawn


def taught(rounds: int, *, seed: int = 0) -> Gates:
    gates = Gates()
    for arm, expected, signals, reward in answers(rounds, seed=seed):
        judgement = gates.judge(arm, expected, signals)
        seen = {**signals, "expected": expected, "estimate": judgement.estimate}
        gates.on_look(arm, seen)
        gates.learn(arm, seen, weight=1.0, weighted=reward, squared=reward**2)
    return gates


def judged(gates: Gates, n: int = 20_000) -> tuple[Floats, Floats]:
    drawn = answers(n, seed=99)
    return np.array([gates.judge(arm, expected, signals).good for arm, expected, signals, _ in drawn]), np.array(
        [reward for *_, reward in drawn]
    )


@pytest.fixture(scope="module")
def after_2000() -> Gates:
    return taught(2_000)


def test_after_2000_labelled_answers_the_gate_is_calibrated(after_2000: Gates) -> None:
    good, rewards = judged(after_2000, 8_000)
    assert expected_calibration_error(good, rewards) < 0.05
    expected = np.array([expected for _, expected, _, _ in answers(8_000, seed=99)])
    assert np.mean((good - rewards) ** 2) < np.mean((expected - rewards) ** 2) - 0.03


def test_a_state_that_was_written_judges_alike_and_holds_the_same(after_2000: Gates) -> None:
    restored = Gates.from_json(json.loads(json.dumps(after_2000.to_json())))
    assert restored.distance(after_2000) == 0.0
    arms, expected = ("a", "new"), np.array([0.5, 0.7])
    assert np.allclose(restored.looks(arms, expected), after_2000.looks(arms, expected), atol=0.05)
    assert restored.judge("a", 0.5, {"margin": 0.9}).good == pytest.approx(
        after_2000.judge("a", 0.5, {"margin": 0.9}).good,
        abs=0.03,  # solved for anew, with the latest answers
    )
    for gates in (restored, after_2000):
        gates.learn("a", {"expected": 0.5}, weight=0.0, weighted=0.0, squared=0.0)  # so that both are solved for now
    assert restored.looks(arms, expected) == pytest.approx(after_2000.looks(arms, expected), abs=1e-9)
    assert restored.judge("a", 0.5, {"margin": 0.9}) == after_2000.judge("a", 0.5, {"margin": 0.9})
    assert Gates.from_json({}).to_json() == {}


def test_an_arm_nobody_looked_at_yet_is_judged_by_what_others_have_in_common(after_2000: Gates) -> None:
    sure, unsure = (after_2000.judge("new", 0.6, {"margin": margin}).good for margin in (0.95, 0.05))
    assert sure > unsure + 0.3


def test_damage_is_refused(after_2000: Gates) -> None:
    state = after_2000.to_json()
    cut = {**state["quality"], "sums": state["quality"]["sums"][:-8]}
    for wrong in ({**state, "quality": cut}, {**state, "signals": ["margin"]}, {**state, "seen": {"a": [[1e999]]}}):
        with pytest.raises((LookupError, TypeError, ValueError)):
            Gates.from_json(wrong)


def test_the_isotonic_map_never_falls_and_begins_as_the_identity() -> None:
    calibration, grid = IsotonicCalibration(), np.linspace(0, 1, 101)
    assert calibration(grid)[5:-5] == pytest.approx(grid[5:-5], abs=0.001)
    rng = np.random.default_rng(0)
    for estimate in rng.random(3_000):
        calibration.learn(estimate, weight=1.0, weighted=float(rng.random() < estimate**2))
    assert (np.diff(calibration(grid)) >= 0).all()
    assert np.abs(calibration(grid) - grid**2).max() < 0.08
