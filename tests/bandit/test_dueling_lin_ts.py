import numpy as np
import pytest

from highwayman.bandit.dueling_lin_ts import DuelingLinTS
from highwayman.bandit.preference_posterior import PreferencePosterior
from highwayman.env.types import Context, Floats, PreferenceChange, RewardChange

ARMS = ("a", "b", "c")
ONE = np.ones(1)


def thumb(arm: str, x: Floats, value: float, weight: float = 1.0) -> RewardChange:
    return RewardChange(arm, x, weight, weight * value, weight * value**2)


def policy(d: int = 1, **options: float) -> DuelingLinTS:
    made = DuelingLinTS(d=d, **options)  # type: ignore[arg-type]
    for arm in ARMS:
        made.add_arm(arm)
    return made


def preferences(n: int, *, seed: int, scale: float = 6.0) -> list[PreferenceChange]:
    """Return n comparisons in a world where a is best if the first feature is positive, b if not, and c never."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        x = np.array([rng.uniform(-1, 1), 1.0])
        quality = dict(zip(ARMS, (0.5 + 0.3 * x[0], 0.5 - 0.3 * x[0], 0.2), strict=True))
        one, other = rng.choice(ARMS, 2, replace=False)
        if rng.random() > 1 / (1 + np.exp(-scale * (quality[one] - quality[other]))):
            one, other = other, one
        found.append(PreferenceChange(str(one), str(other), x))
    return found


def test_preferences_alone_teach_which_arm_is_best_for_which_kind_of_query() -> None:
    made = policy(d=2)
    made.learn(preferences(1500, seed=1))
    for side, best in ((0.8, 0), (-0.8, 1)):
        probs = made.probs(Context(np.array([side, 1.0]), "", 1), ARMS, np.zeros(3))
        assert probs.argmax() == best
        assert probs[2] < 0.01


def test_one_comparison_moves_two_arms_apart_as_far_as_a_direct_search_finds() -> None:
    made = policy(prior_precision=1.0, noise_variance=0.1, scale=6.0)
    made.learn([PreferenceChange("a", "b", ONE)])
    # By symmetry a = .6 + t, b = .6 - t, where 2 * t / .1 * ... : t^2 / .1 + log(1 + exp(-12 t)) is smallest.
    t = np.linspace(0, 1, 2_000_001)
    best = t[np.argmin(t**2 / 0.1 + np.log1p(np.exp(-12 * t)))]
    made.posterior.settle()
    assert made.expected(Context(ONE, "", 1), ARMS) == pytest.approx([0.6 + best, 0.6 - best, 0.6], abs=1e-6)


def test_rewards_alone_give_the_ridge_solution() -> None:
    made = policy(prior_precision=1.0)
    made.learn([thumb("a", ONE, 1.0)] * 3)
    made.posterior.settle()
    assert made.expected(Context(ONE, "", 1), ["a"]) == pytest.approx([(0.6 + 3) / 4])


def test_both_kinds_of_evidence_together_are_surer_than_either() -> None:
    x = np.array([0.8, 1.0])
    told = [thumb(arm, x, value) for arm, value in (("a", 0.74), ("b", 0.26)) for _ in range(20)]
    both, rewards, compared = policy(d=2), policy(d=2), policy(d=2)
    both.learn([*told, *preferences(60, seed=2)])
    rewards.learn(told)
    compared.learn(preferences(60, seed=2))
    sds = []
    for one in (both, rewards, compared):
        one.posterior.settle()
        sds.append(one.posterior.beliefs(x, ("a", "b"))[1][0])
    assert sds[0] < min(sds[1:])


def test_a_preference_taken_back_leaves_what_never_saw_it() -> None:
    told = preferences(60, seed=3)
    back, never = policy(d=2), policy(d=2)
    gone = told[20]
    back.learn([*told, PreferenceChange(gone.better, gone.worse, gone.features, weight=-1.0)])
    never.learn([*told[:20], *told[21:]])
    for one in (back, never):
        one.posterior.settle()
    x = np.array([0.3, 1.0])
    for found, wanted in zip(back.posterior.beliefs(x, ARMS), never.posterior.beliefs(x, ARMS), strict=True):
        assert found == pytest.approx(wanted, abs=1e-9)


def test_comparisons_beyond_those_held_are_forgotten_oldest_first() -> None:
    made = policy(comparisons=2)
    made.learn([PreferenceChange("a", "b", ONE), PreferenceChange("b", "c", ONE), PreferenceChange("c", "a", ONE)])
    assert made.posterior.comparisons[:, :2].tolist() == [[1, 2], [2, 0]]


def test_comparisons_survive_the_state() -> None:
    made, again = policy(d=2), policy(d=2)
    made.learn(preferences(100, seed=4))
    again.restore(made.state())
    x = Context(np.array([0.5, 1.0]), "", 1)
    assert again.probs(x, ARMS, np.zeros(3)).tolist() == made.probs(x, ARMS, np.zeros(3)).tolist()


def test_a_comparison_with_itself_and_options_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="'a' cannot be better than itself"):
        policy().learn([PreferenceChange("a", "a", ONE)])
    with pytest.raises(ValueError, match="scale must be a number > 0, got 0"):
        PreferencePosterior(d=1, scale=0, most=1, prior_precision=1, prior_mean=0.6, noise_variance=0.1)
