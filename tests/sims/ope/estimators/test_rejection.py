from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from highwayman.bandit.draw import draw
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimators.rejection import rejection_replay
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from tests.sims.ope.estimators.logs import every_log, log_of

SPECIALISTS = np.array([[0.9, 0.2], [0.1, 0.8]])


class Recording(Uniform):
    """Prefers the last arm it was offered, and notes what it was asked and taught."""

    def __init__(self) -> None:
        super().__init__(d=1)
        self.asked: list[tuple[str, ...]] = []
        self.taught: list[RewardChange] = []

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        self.asked.append(tuple(arms))
        return np.eye(len(arms))[-1]

    def learn(self, changes: Sequence[RewardChange]) -> None:
        self.taught.extend(changes)


class Stubborn(Recording):
    """Takes arm b until b has disappointed it, then a."""

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        return np.array([1.0, 0.0]) if self.taught else np.array([0.0, 1.0])


def specialists(n: int, rng: np.random.Generator, *, share_of_b: float = 0.5) -> LoggedData:
    kind = rng.integers(0, 2, n)
    actions = (rng.random(n) < share_of_b).astype(np.intp)
    rewards = (rng.random(n) < SPECIALISTS[kind, actions]).astype(np.float64)
    contexts = np.stack([2.0 * kind - 1.0, np.ones(n)], axis=1)
    drawn = np.where(actions == 1, share_of_b, 1 - share_of_b)
    return log_of(actions.tolist(), drawn.tolist(), rewards.tolist(), contexts=contexts)


def lived(n: int, rng: np.random.Generator) -> float:
    """Return what LinTS earns per round when it decides itself."""
    policy, earned = LinTS(d=2, fingerprint="f"), 0.0
    policy.add_arm("a")
    policy.add_arm("b")
    for kind in rng.integers(0, 2, n):
        context = Context(np.array([2.0 * kind - 1.0, 1.0]), "f", 0)
        drawn = draw(policy.probs(context, ("a", "b"), np.zeros(2)), floor=0.1, rng=rng)
        quality = float(rng.random() < SPECIALISTS[kind, drawn.action])
        policy.learn([RewardChange("ab"[drawn.action], context.features, 1.0, quality, quality**2)])
        earned += quality
    return earned / n


def replay(policy: Recording, log: LoggedData, **options: object):  # type: ignore[no-untyped-def]
    return rejection_replay(policy, log, **{"floor": 0.0, "rng": np.random.default_rng(0), **options})  # type: ignore[arg-type]


def test_on_a_uniform_log_a_policy_that_always_takes_one_arm_gets_just_the_rounds_with_it() -> None:
    log = log_of([0, 1, 1, 0, 1], [0.5] * 5, [0.1, 0.2, 0.3, 0.4, 0.5])
    policy = Recording()
    found = replay(policy, log)
    assert (found.rows.tolist(), found.rewards.tolist()) == ([1, 2, 4], [0.2, 0.3, 0.5])
    assert [(one.arm, one.weight, one.weighted, one.squared) for one in policy.taught] == [
        ("b", 1.0, reward, reward**2) for reward in (0.2, 0.3, 0.5)
    ]
    assert found.value == pytest.approx(1 / 3)
    assert found.stderr == pytest.approx(np.std([0.2, 0.3, 0.5], ddof=1) / np.sqrt(3))


def test_the_first_rewards_accepted_are_over_all_logs_what_a_learning_policy_would_have_earned() -> None:
    reward = np.array([[0.9, 0.3], [0.6, 0.1], [0.8, 0.2]])
    firsts: dict[tuple[int, ...], float] = {}
    for probability, log in every_log(3, lambda _: np.array([0.5, 0.5]), reward):
        rows = replay(Stubborn(), log).rows
        firsts[tuple(rows.tolist())] = firsts.get(tuple(rows.tolist()), 0.0) + probability
    # b is waited for, then a: each wait ends with probability 1/2 a round
    assert firsts == {(): 1 / 8, (2,): 1 / 8, (1,): 1 / 8, (1, 2): 1 / 8, (0,): 1 / 8, (0, 2): 1 / 8, (0, 1): 1 / 8,
                      (0, 1, 2): 1 / 8}  # fmt: skip


@pytest.mark.parametrize("share_of_b", [0.5, 0.3])
def test_a_policy_replayed_earns_what_it_earns_when_it_decides_itself(share_of_b: float) -> None:
    replayed = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        log = specialists(700 if share_of_b == 0.5 else 1200, rng, share_of_b=share_of_b)
        found = rejection_replay(LinTS(d=2, fingerprint="f"), log, floor=0.1, rng=rng)
        assert found.count >= 250
        replayed.append(found.rewards[:250].mean())
    itself = [lived(250, np.random.default_rng(100 + seed)) for seed in range(12)]
    stderr = np.sqrt((np.var(replayed) + np.var(itself)) / 11)
    assert abs(np.mean(replayed) - np.mean(itself)) < 3 * stderr


def test_the_floor_is_mixed_in_as_it_is_where_arms_are_drawn() -> None:
    log = log_of([0] * 4000, [0.5] * 4000, [1.0] * 4000)
    assert len(replay(Recording(), log, floor=0.4).rows) / 4000 == pytest.approx(0.4 / 2, abs=0.02)


def test_only_eligible_arms_are_offered() -> None:
    log = log_of([1, 2, 0], [0.5, 0.5, 1.0], [1.0, 1.0, 1.0], k=3)
    log.eligible[:] = [[True, True, False], [False, True, True], [True, False, False]]
    policy = Recording()
    found = replay(policy, log, cap=1.0)
    assert policy.asked == [("a", "b"), ("b", "c"), ("a",)]
    assert found.rows.tolist() == [0, 1, 2]
    assert any("in 2 of 3 rounds the ratio exceeded the cap 1" in what for what in found.warnings)


def test_accepted_rounds_without_a_reward_teach_nothing_and_do_not_count() -> None:
    policy = Recording()
    found = replay(policy, log_of([1, 1, 1], [0.5] * 3, [0.5, np.nan, 1.0]))
    assert (found.value, found.count, len(found.rows), len(policy.taught)) == (0.75, 2, 3, 2)
    assert any("1 of the 3 rounds accepted have no reward" in what for what in found.warnings)
    assert any("2 of 3 rounds were accepted" in what and "longer log" in what for what in found.warnings)


def test_utility_and_costs_can_be_summed_up_while_quality_is_taught() -> None:
    log = replace(log_of([1] * 60, [0.5] * 60, [0.5, 1.0] * 30), costs_usd=np.full(60, 3.0))
    log.penalties[:, 1] = 0.2
    policy = Recording()
    utility = replay(policy, log, reward="utility", interval=ConfidenceSequence())
    assert utility.value == pytest.approx(0.55)
    assert -0.2 <= utility.low < 0.55 < utility.high <= 1.0
    assert {one.weighted for one in policy.taught} == {0.5, 1.0}
    assert replay(Recording(), log, reward="cost_usd").value == pytest.approx(3.0)
    assert utility.warnings == ()


def test_a_log_that_teaches_nothing_has_no_value() -> None:
    found = replay(Recording(), log_of([0] * 5, [0.5] * 5, [1.0] * 5))
    assert np.isnan([found.value, found.low, found.high]).all()
    assert found.count == 0


def test_rounds_count_and_teach_by_their_weights() -> None:
    log = log_of([0, 0, 0], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0], k=1, weights=np.array([1.0, 0.1, 0.005]))
    policy = Recording()
    found = rejection_replay(policy, log, floor=0.0, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(1 / 1.105)
    assert [change.weight for change in policy.taught] == [1.0, 0.1, 0.005]
