import numpy as np
import pytest

from highwayman.bandit.drift.change_detector import ChangeDetector
from highwayman.bandit.drift.change_monitor import ChangeMonitor
from highwayman.bandit.drift.source_levels import ArmLevels, SourceLevel, SourceStatement
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.types import RewardChange


def test_a_level_is_the_mean_by_stakes_of_what_was_said_and_of_where() -> None:
    level = SourceLevel(np.array([1.0, 1.0]))
    assert not level.known
    level.add(1.0, np.array([1.0, 1.0]), stake=1.0)
    level.add(0.0, np.array([5.0, 1.0]), stake=0.25)
    assert level.known
    assert level.mean == pytest.approx(0.8)
    assert level.centre == pytest.approx([1.8, 1.0])


def test_a_statement_of_the_usual_weight_is_bet_on_in_full_whatever_that_is_and_lighter_ones_in_part() -> None:
    levels = ArmLevels()
    assert [levels.stake(0.05) for _ in range(3)] == [pytest.approx(1.0)] * 3
    for _ in range(50):
        levels.stake(1.0)
    assert levels.stake(1.0) == 1.0
    assert levels.stake(0.02) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("weights", [[5e-324, 1e-200, 1.0], [1.0, 5e-324], [0.5, 0.5, 5e-324]])
def test_weights_that_are_next_to_nothing_are_bet_on_as_such(weights: list[float]) -> None:
    levels, level = ArmLevels(), SourceLevel(np.ones(1))
    for weight in weights:
        stake = levels.stake(weight)
        assert 0.0 < stake <= 1.0
        level.add(1.0, np.ones(1), stake=stake)
    assert level.mean == pytest.approx(1.0)


@pytest.mark.parametrize("stated", [True, False])
def test_harder_queries_are_no_change_of_an_arm_that_was_learned_on_easy_and_hard_ones(stated: bool) -> None:
    rng, policy, monitor = np.random.default_rng(0), HierTS(d=2), ChangeMonitor(ChangeDetector(100_000.0))
    policy.add_arm("a")
    alarms = 0
    for n in range(1600):
        hard = rng.random() < (0.1 if n < 800 else 0.9)
        value = float(rng.random() < (0.2 if hard else 0.9))
        change = RewardChange("a", np.array([float(hard), 1.0]), 1.0, value, value, 1.0 + n)
        statements = [SourceStatement("people", value, 1.0)] if stated else None
        alarms += len(monitor.learn(policy, [change], fingerprint="", statements=statements))
    assert alarms == 0
