"""Policies that see only some of the features."""

import numpy as np
import pytest

from highwayman.bandit.decision import _gives_beliefs
from highwayman.bandit.loading import load_policy, shipped_policies
from highwayman.bandit.looking_away import looking_away
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.types import Context, RewardChange

KEPT = np.array([1.0, 0.0, 0.0, 1.0])
ARMS, NO_PENALTIES = ("a", "b"), np.zeros(2)


def context(*features: float) -> Context:
    return Context(np.array([*features, 1.0]), "f", 1)


def changes(rng: np.random.Generator, *, seen_alone: bool) -> list[RewardChange]:
    features = np.column_stack([rng.normal(size=(60, 3)), np.ones(60)])
    rewards = (features[:, 1] > 0).astype(float)
    rows = features * KEPT if seen_alone else features
    return [RewardChange(ARMS[k % 2], row, 1.0, r, r) for k, (row, r) in enumerate(zip(rows, rewards, strict=True))]


@pytest.mark.parametrize("name", [name for name in shipped_policies() if name not in ("NeuralLinear", "VowpalWabbit")])
def test_what_a_policy_looks_away_from_changes_nothing_that_it_says(name: str) -> None:
    away = load_policy(name, d=4, fingerprint="f", kept=KEPT)
    plain = load_policy(name, d=4, fingerprint="f")
    for policy, seen_alone in ((away, False), (plain, True)):
        for arm in ARMS:
            policy.add_arm(arm)
        policy.learn(changes(np.random.default_rng(0), seen_alone=seen_alone))
    told = away.probs(context(0.5, 3.0, -4.0), ARMS, NO_PENALTIES)
    assert told.tolist() == pytest.approx(plain.probs(context(0.5, 0.0, 0.0), ARMS, NO_PENALTIES).tolist())
    assert away.state() == plain.state()


def test_it_says_all_that_its_class_says_and_is_made_once() -> None:
    away = looking_away(LinTS, KEPT)
    assert away is looking_away(LinTS, KEPT.copy())
    assert _gives_beliefs(away) == _gives_beliefs(LinTS)
    policy = load_policy("LinTS", d=4, fingerprint="f", kept=KEPT)
    for arm in ARMS:
        policy.add_arm(arm)
    policy.learn(changes(np.random.default_rng(0), seen_alone=False))
    far, near = context(0.5, 9.0, 9.0), context(0.5, 0.0, 0.0)
    assert policy.expected_quality(far, ARMS).tolist() == policy.expected_quality(near, ARMS).tolist()  # type: ignore[attr-defined]
    both = np.stack([far.features, near.features])
    means, deviations = policy.quality_and_deviation(both, ARMS)  # type: ignore[attr-defined]
    assert means[0].tolist() == means[1].tolist()
    assert deviations[0].tolist() == deviations[1].tolist()


def test_a_user_s_class_that_gives_no_beliefs_of_its_own_gives_none_looking_away() -> None:
    class Mine(LinTS):
        def probs(self, context: Context, arms: object, penalties: object) -> np.ndarray:  # type: ignore[override]
            return np.array([1.0, 0.0])

    assert not _gives_beliefs(Mine)
    assert not _gives_beliefs(looking_away(Mine, KEPT))
