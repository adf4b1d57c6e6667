import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.draw import mix
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.lin_ucb import LinUCB
from highwayman.bandit.policies.square_cb import SquareCB
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.replay.progressive import ProgressiveValidation

ARMS = ("a", "b", "c")


def made(n: int, *, seed: int, whole: bool = False) -> LoggedData:
    """A log of n rounds in which an arm may be missing and feedback too."""
    rng = np.random.default_rng(seed)
    contexts = rng.normal(size=(n, 4))
    contexts[:, -1] = 1.0
    eligible = rng.random((n, 3)) < (2.0 if whole else 0.7)
    eligible[:, 1] = True
    actions = np.array([rng.choice(np.flatnonzero(row)) for row in eligible], dtype=np.intp)
    rewards = np.where(rng.random(n) < 0.3, np.nan, rng.random(n))
    return LoggedData(
        ARMS, contexts, eligible, actions, 1 / eligible.sum(axis=1), rewards, np.full(n, np.nan),
        rng.random((n, 3)) / 5, np.arange(n), np.arange(n, dtype=np.float64),
    )  # fmt: skip


def by_hand(log: LoggedData, policy: Policy, floor_loss: float | None = None) -> Floats:
    found = np.zeros((log.n, 3))
    for arm in ARMS:
        policy.add_arm(arm)
    for row in range(log.n):
        able = np.flatnonzero(log.eligible[row])
        arms, penalties = [ARMS[k] for k in able], log.penalties[row, able]
        probs = policy.probs(Context(log.contexts[row], "", 0), arms, penalties)
        rules = ExplorationRules(0.1, floor_loss=floor_loss)
        found[row, able] = mix(probs, floor=rules.floor_for(policy, log.contexts[row], arms, penalties))
        reward = log.rewards[row]
        if not np.isnan(reward):
            w = log.learning_weights()[row]
            policy.learn([RewardChange(ARMS[log.actions[row]], log.contexts[row], w, w * reward, w * reward**2)])
    return found


@pytest.mark.parametrize("kind", [LinUCB, LinTS, SquareCB, Uniform])
def test_each_round_is_asked_about_before_its_reward_is_learned(kind: type[Any]) -> None:
    log = made(300, seed=0)
    log.check()
    assert ProgressiveValidation(kind(d=4), floor=0.1)(log) == pytest.approx(by_hand(log, kind(d=4)), abs=1e-9)


@pytest.mark.parametrize(("kind", "step"), [(LinUCB, 1), (HierTS, 1), (HierTS, 70), (LinTS, 70)])
def test_a_floor_that_is_priced_is_that_of_each_round(kind: type[Any], step: int) -> None:
    log = made(140, seed=5)
    probs = ProgressiveValidation(kind(d=4), floor=0.1, floor_loss=0.001, frozen_for=step)(log)
    by_itself = by_hand(log, kind(d=4), floor_loss=0.001)
    for row in range(0, 140, step):  # a block's first round knows all that came before it
        assert probs[row] == pytest.approx(by_itself[row], abs=1e-9)
    even = ProgressiveValidation(kind(d=4), floor=0.1, frozen_for=step)(log)
    assert np.abs(probs - even)[70:].max() > 0.01


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 40), min_size=1, max_size=4), st.booleans())
def test_chunks_do_not_matter(seed: int, sizes: list[int], whole: bool) -> None:
    log = made(sum(sizes), seed=seed, whole=whole)
    progressive, ends = ProgressiveValidation(LinUCB(d=4), floor=0.1), np.cumsum([0, *sizes])
    parts = [progressive(log.take(slice(start, end))) for start, end in itertools.pairwise(ends)]
    assert np.concatenate(parts) == pytest.approx(ProgressiveValidation(LinUCB(d=4), floor=0.1)(log), abs=1e-9)


@pytest.mark.parametrize("kind", [LinUCB, SquareCB])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), block=st.integers(2, 100))
def test_a_policy_frozen_for_a_block_knows_what_came_before_the_block(kind: type[Any], seed: int, block: int) -> None:
    log = made(220, seed=seed)
    at_once = ProgressiveValidation(kind(d=4), floor=0.1, frozen_for=block)(log)
    one_by_one, expected = kind(d=4), np.zeros((220, 3))
    for start in range(0, 220, block):
        part = log.take(slice(start, start + block))
        expected[start : start + block] = ProgressiveValidation(one_by_one, floor=0.1, learns=False)(part)
        ProgressiveValidation(one_by_one, floor=0.1)(part)
    assert at_once == pytest.approx(expected, abs=1e-9)


def test_a_policy_that_is_asked_one_by_one_only_can_be_frozen_too() -> None:
    log = made(50, seed=1)
    probs = ProgressiveValidation(Uniform(d=4), floor=0.1, frozen_for=20)(log)
    assert probs == pytest.approx(log.eligible / log.eligible.sum(axis=1, keepdims=True))


def test_a_policy_that_does_not_learn_stays_as_it_is() -> None:
    log, policy = made(50, seed=2), LinUCB(d=4)
    for arm in ARMS:
        policy.add_arm(arm)
    before = policy.state()
    ProgressiveValidation(policy, floor=0.1, learns=False)(log)
    assert policy.state() == before


@pytest.mark.parametrize("frozen_for", [1, 70])
def test_a_half_life_in_hours_is_counted_by_the_times_of_the_log(frozen_for: int) -> None:
    log = made(200, seed=3)
    weights = []
    for hours_between in (0.0, 1.0):
        policy = LinUCB(d=4, half_life_hours=10.0)
        spaced = replace(log, at=1e9 + 3600.0 * hours_between * np.arange(200))
        ProgressiveValidation(policy, floor=0.1, frozen_for=frozen_for)(spaced)
        weights.append(policy.posterior.total_weight())
    said = np.isfinite(log.rewards)
    assert weights[0] == pytest.approx(said.sum())
    assert weights[1] == pytest.approx((2.0 ** (-np.arange(199, -1, -1) / 10) * said).sum(), rel=0.1)


@pytest.mark.parametrize(("kind", "step"), [(LinUCB, 1), (LinTS, 1), (SquareCB, 1), (LinTS, 100)])
def test_rewards_are_learned_by_their_weights_and_by_what_was_kept_of_the_log(kind: type[Any], step: int) -> None:
    log = made(200, seed=4)
    weighed = replace(log, weights=np.where(np.arange(200) % 3, 0.05, 2.0), kept=np.where(np.arange(200) % 2, 0.5, 1.0))
    validation = ProgressiveValidation(kind(d=4), floor=0.1, frozen_for=step)
    halves = [validation(weighed.take(slice(0, 100))), validation(weighed.take(slice(100, 200)))]
    by_itself = by_hand(weighed, kind(d=4))
    if step == 1:
        assert np.concatenate(halves) == pytest.approx(by_itself, abs=1e-9)
    else:
        assert halves[1][0] == pytest.approx(by_itself[100], abs=1e-9)
