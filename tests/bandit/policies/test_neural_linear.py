import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from highwayman.bandit import snapshot
from highwayman.bandit.draw import draw
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policy import Policy
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, RewardChange

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

ARMS = ("a", "b")


def thumb(arm: str, x: Floats, value: float, at: float = 0.0) -> RewardChange:
    return RewardChange(arm, x, 1.0, value, value**2, at)


def taken_back(change: RewardChange) -> RewardChange:
    return RewardChange(change.arm, change.features, -change.weight, -change.weighted, -change.squared, change.at)


def rounds(n: int, *, seed: int = 2) -> list[RewardChange]:
    rng = np.random.default_rng(seed)
    return [
        thumb(ARMS[t % 2], np.append(rng.normal(size=2), 1.0), float(rng.random() < 0.5), at=t + 1.0) for t in range(n)
    ]


def neural_linear(d: int = 3, **options: Any) -> Any:
    """Return a `NeuralLinear`, whose file loads torch: slow, and not by every worker that collects."""
    from highwayman.bandit.policies.neural_linear import NeuralLinear  # noqa: PLC0415

    return NeuralLinear(d=d, **options)


def taught(*changes: RewardChange, **options: Any) -> Any:
    policy = neural_linear(**options)
    for arm in ARMS:
        policy.add_arm(arm)
    policy.learn(changes)
    return policy


def believed(policy: Any, x: Floats) -> list[float]:
    context = Context(x, "", 1)
    return [*policy.expected_quality(context, ARMS), *policy.probs(context, ARMS, np.array([0.05, 0.0]))]


def late_quality(policy: Policy, n: int = 2000) -> float:
    """Return the mean quality in the last third where a is good if both coordinates have one sign, and b elsewhere."""
    for arm in ARMS:
        policy.add_arm(arm)
    rng, got = np.random.default_rng(0), []
    for _ in range(n):
        x = np.append(rng.uniform(-1, 1, 2), 1.0)
        quality = (0.9, 0.1) if x[0] * x[1] > 0 else (0.1, 0.9)
        drawn = draw(policy.probs(Context(x, "", 1), ARMS, np.zeros(2)), floor=0.05, rng=rng)
        got.append(quality[drawn.action])
        policy.learn([thumb(ARMS[drawn.action], x, float(rng.random() < got[-1]))])
    return float(np.mean(got[-n // 3 :]))


def test_learns_what_no_line_can_part() -> None:
    assert late_quality(LinTS(d=3)) < 0.6
    assert late_quality(neural_linear()) > 0.75


def test_the_regressions_are_those_of_lin_ts_on_the_learned_features() -> None:
    heard = rounds(250)  # trained at 200, then 50 more
    policy, x = taught(*heard), heard[0].features
    linear = LinTS(d=17)
    for arm in ARMS:
        linear.add_arm(arm)
    features = policy._network.features
    linear.learn([thumb(one.arm, features(one.features), one.weighted) for one in heard])
    assert believed(policy, x)[:2] == pytest.approx(
        linear.expected_quality(Context(features(x), "", 1), ARMS), abs=1e-9
    )
    penalties = np.array([0.05, 0.0])
    assert believed(policy, x)[2:] == pytest.approx(
        linear.probs(Context(features(x), "", 1), ARMS, penalties), abs=1e-9
    )


@pytest.mark.parametrize("n", [50, 230])
def test_given_the_network_a_flip_leaves_what_only_saw_the_final_value(n: int) -> None:
    heard = rounds(n)
    first, before = heard[-20], heard[-20].weighted
    flip = RewardChange(first.arm, first.features, 0.0, 1 - 2 * before, 1 - 2 * before, first.at)
    flipped = taught(*heard, flip)
    final = taught(*heard[:-20], thumb(first.arm, first.features, 1 - before, first.at), *heard[-19:])
    assert believed(flipped, first.features) == pytest.approx(believed(final, first.features), abs=1e-9)
    assert flipped.state() == final.state()


def test_a_round_taken_back_leaves_regressions_that_never_saw_it() -> None:
    heard = rounds(60)
    erased, never = taught(*heard, taken_back(heard[7])), taught(*heard[:7], *heard[8:])
    assert believed(erased, heard[7].features) == pytest.approx(believed(never, heard[7].features), abs=1e-9)


def test_after_a_training_the_regressions_know_the_rounds_that_are_held_and_no_others() -> None:
    policy = taught(*rounds(200), rounds=100)
    assert policy._posterior.total_weight() == 100
    assert len(policy._held) == 100
    policy.learn(rounds(40, seed=5))
    assert policy._posterior.total_weight() == len(policy._held) == 140
    policy.learn(rounds(10, seed=6))  # trained again: feedback has grown by a quarter
    assert policy._posterior.total_weight() == len(policy._held) == 100


def test_taking_back_rounds_that_are_forgotten_changes_nothing() -> None:
    heard = rounds(200)
    policy = taught(*heard, rounds=100)
    before = policy.state()
    policy.learn([taken_back(one) for one in heard[:100]])
    assert policy.state() == before
    policy.learn([taken_back(one) for one in heard[100:]])
    assert believed(policy, heard[0].features)[:2] == pytest.approx([0.6, 0.6])  # the prior


def test_what_is_held_stays_bounded_however_rarely_it_is_trained() -> None:
    policy = taught(rounds=100, retrain_share=50.0)
    for seed in range(8):
        policy.learn(rounds(100, seed=seed))
        assert len(policy._held) <= 200


def test_trains_less_often_the_more_it_has_heard() -> None:
    policy, at = taught(), []
    for n, change in enumerate(rounds(700), start=1):
        before = policy._network.weights
        policy.learn([change])
        if policy._network.weights is not before:
            at.append(n)
    assert at == [200, 250, 313, 392, 490, 613]


@pytest.mark.parametrize("damage", ["arm", "round", "network"])
def test_a_snapshot_of_parts_that_do_not_belong_together_is_refused_and_changes_nothing(damage: str) -> None:
    policy = taught(*rounds(30))
    header, arrays = snapshot.unpack(policy.state())
    if damage == "arm":
        header["arms"] = ["a"]
    elif damage == "round":
        arrays["rounds"][3, 2] = -1.0
    else:
        arrays["net w1"] = np.zeros((4, 4))
    before = policy.state()
    with pytest.raises(SnapshotError, match="snapshot cannot be used"):
        policy.restore(snapshot.pack(json.loads(json.dumps(header)), arrays))
    assert policy.state() == before


def test_an_option_that_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match="width must be a number > 0, got 0"):
        neural_linear(d=2, width=0)


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(ValueError, match="unknown arm 'z'; known are a, b"):
        taught().learn([thumb("z", np.ones(3), 1.0)])
