import numpy as np
import pytest

from highwayman.bandit.draw import draw
from highwayman.bandit.lin_ts import LinTS
from highwayman.bandit.policy import Policy
from highwayman.env.types import Context, Floats, RewardChange

pytest.importorskip("torch")
from highwayman.bandit.feature_network import FeatureNetwork
from highwayman.bandit.neural_linear import NeuralLinear

ARMS = ("a", "b")


def thumb(arm: str, x: Floats, value: float) -> RewardChange:
    return RewardChange(arm, x, 1.0, value, value**2)


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
    assert late_quality(NeuralLinear(d=3)) > 0.75


def test_the_network_fits_a_bent_function_and_is_the_same_every_time() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (1000, 2))
    rewards, arms, weights = np.abs(x[:, 0]), np.zeros(1000, dtype=np.intp), np.ones(1000)
    networks = [FeatureNetwork(d=2, hidden=32, width=8, seed=3) for _ in range(2)]
    for network in networks:
        network.train(x, arms, rewards, weights, epochs=40)
    assert np.array_equal(networks[0].features(x), networks[1].features(x))
    learned = networks[0].features(x)
    fit = learned @ np.linalg.lstsq(learned, rewards, rcond=None)[0]
    assert np.mean((fit - rewards) ** 2) < 0.1 * rewards.var()


def test_given_the_network_a_flip_leaves_what_only_saw_the_final_value() -> None:
    rng = np.random.default_rng(2)
    rounds = [thumb(ARMS[n % 2], np.append(rng.normal(size=2), 1.0), float(n % 3 == 0)) for n in range(50)]
    x = rounds[4].features
    flipped, final = NeuralLinear(d=3), NeuralLinear(d=3)
    for one in (flipped, final):
        for arm in ARMS:
            one.add_arm(arm)
    before = rounds[4].weighted
    flipped.learn([*rounds, RewardChange(rounds[4].arm, x, 0.0, 1 - 2 * before, 1 - 2 * before)])
    final.learn([*rounds[:4], thumb(rounds[4].arm, x, 1 - before), *rounds[5:]])
    context = Context(x, "", 1)
    assert flipped.expected(context, ARMS) == pytest.approx(final.expected(context, ARMS), abs=1e-9)


def test_after_a_training_the_regressions_know_the_rounds_that_are_held_and_no_others() -> None:
    policy = NeuralLinear(d=2, rounds=100)
    policy.add_arm("a")
    rng = np.random.default_rng(3)
    policy.learn([thumb("a", np.array([rng.normal(), 1.0]), 1.0) for _ in range(200)])
    assert policy._posterior.weight_seen() == 100
    assert policy._next == 250


def test_an_option_that_cannot_be_is_named() -> None:
    with pytest.raises(ValueError, match="width must be a number > 0, got 0"):
        NeuralLinear(d=2, width=0)
