import json

import numpy as np
import pytest

from highwayman.bandit.cascade.calibration import IsotonicCalibration, expected_calibration_error
from highwayman.bandit.cascade.gates import Gates
from highwayman.bandit.cascade.teaching import teach_gates
from highwayman.bandit.policy import HalfLife
from highwayman.env.types import CascadeStage, Floats

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


def told(
    gates: Gates, margin: float, reward: float, *, at: float, half_life: HalfLife | None = None, sign: float = 1.0
) -> None:
    """Teach a gate one labelled answer, or with a sign of -1 take it away again."""
    stage = CascadeStage("a", {"margin": margin, "expected": 0.6, "estimate": 0.6}, 0.6, 0.0, False)
    counts = gates.weigh("a", at, new=sign > 0, half_life=half_life)
    sums = {"weight": sign, "weighted": sign * reward, "squared": sign * reward}
    teach_gates(gates, [stage], "a", **sums, counts=counts)


@pytest.mark.parametrize("half_life", [(100.0, None), (None, 100.0 / 3600.0)])
def test_a_gate_that_forgets_follows_a_signal_that_turns_and_one_that_does_not_is_misled(half_life: HalfLife) -> None:
    forgets, remembers = Gates(), Gates()
    for number in range(1_200):
        margin = (number % 10) / 10
        turned = number >= 900
        reward = float((margin < 0.5) if turned else (margin >= 0.5))
        told(forgets, margin, reward, at=1.0 + number, half_life=half_life)
        told(remembers, margin, reward, at=1.0 + number)
    sure, unsure = (forgets.judge("a", 0.6, {"margin": margin}).good for margin in (0.9, 0.1))
    assert unsure > sure + 0.4
    sure, unsure = (remembers.judge("a", 0.6, {"margin": margin}).good for margin in (0.9, 0.1))
    assert sure > unsure + 0.2


@pytest.mark.parametrize("half_life", [None, (20.0, None), (None, 0.01)])
def test_what_is_taken_back_long_after_leaves_nothing_though_gates_forget_and_an_arm_has_changed(
    half_life: HalfLife | None,
) -> None:
    with_it, without = Gates(), Gates()
    for gates in (with_it, without):
        for number in range(60):
            if number == 30:
                gates.discount("a", 0.25)
            if number == 10 and gates is with_it:
                told(gates, 0.9, 1.0, at=10.5, half_life=half_life)
            told(gates, number / 60, float(number % 2), at=1.0 + number, half_life=half_life)
    restored = Gates.from_json(json.loads(json.dumps(with_it.to_json())))
    for gates in (with_it, restored):
        told(gates, 0.9, 1.0, at=10.5, half_life=half_life, sign=-1.0)
    assert restored.distance(with_it) < 1e-12
    if half_life is None or half_life[0] is None:  # else it was a round, by which the others are older
        for gates in (with_it, without):  # fade to the same moment
            for at in (100.0, 101.0):
                told(gates, 0.5, 1.0, at=at, half_life=half_life)
        assert with_it.distance(without) < 1e-9


def test_an_arm_that_has_changed_is_judged_by_what_came_since() -> None:
    gates, doubtful = Gates(), Gates()
    for number in range(600):
        for known in (gates, doubtful):
            if known is doubtful and number == 500:
                known.discount("a", 0.02)
            told(known, 0.9, float(number < 500), at=1.0 + number)
    assert doubtful.judge("a", 0.6, {"margin": 0.9}).good < 0.3
    assert gates.judge("a", 0.6, {"margin": 0.9}).good > 0.7
