import numpy as np
import pytest

from highwayman.bandit.draw import draw
from highwayman.bandit.policies.dueling_lin_ts import DuelingLinTS
from highwayman.env.types import Context, Floats, PreferenceChange, RewardChange

D = 5
ARMS = tuple("abcd")
FREE = np.zeros(len(ARMS))
SCALE = 6.0
# Coefficients (K, d): each arm but the last is best on its own kind of query; the last one is never best.
WORLD = np.array([[0.25, 0, 0, 0, 0.55], [-0.25, 0.1, 0, 0, 0.55], [0, -0.3, 0, 0, 0.5], [0, 0, 0, 0, 0.25]])


def policy(d: int = D, **options: float) -> DuelingLinTS:
    made = DuelingLinTS(d=d, **options)  # type: ignore[arg-type]
    for arm in ARMS:
        made.add_arm(arm)
    return made


def queries(n: int, rng: np.random.Generator) -> Floats:
    return np.concatenate([rng.uniform(-1, 1, size=(n, D - 1)), np.ones((n, 1))], axis=1)


def preferences(n: int, *, seed: int) -> list[PreferenceChange]:
    """Return n comparisons of two arms drawn at random, as people make them in the world."""
    rng, found = np.random.default_rng(seed), []
    for x in queries(n, rng):
        one, other = (int(place) for place in rng.choice(len(ARMS), 2, replace=False))
        if rng.random() > 1 / (1 + np.exp(-SCALE * float((WORLD[one] - WORLD[other]) @ x))):
            one, other = other, one
        found.append(PreferenceChange(ARMS[one], ARMS[other], x))
    return found


def thumbs(n: int, *, seed: int) -> list[RewardChange]:
    """Return n thumbs on arms drawn at random."""
    rng, found = np.random.default_rng(seed), []
    for x in queries(n, rng):
        place = int(rng.integers(len(ARMS)))
        value = float(rng.random() < np.clip(WORLD[place] @ x, 0, 1))
        found.append(RewardChange(ARMS[place], x, 1.0, value, value))
    return found


def lost(made: DuelingLinTS) -> float:
    """Return the quality lost per query by taking the arm that looks best, over 400 fixed ones."""
    asked = queries(400, np.random.default_rng(99))
    quality = asked @ WORLD.T
    chosen = [int(made.expected_quality(Context(x, "", 1), ARMS).argmax()) for x in asked]
    return float((quality.max(axis=1) - quality[np.arange(400), chosen]).mean())


def test_preferences_alone_rank_the_arms_for_each_kind_of_query() -> None:
    made = policy()
    made.learn(preferences(4000, seed=1))
    for x in np.array([[0.9, 0, 0, 0, 1.0], [-0.9, 0, 0, 0, 1.0], [0, -0.9, 0, 0, 1.0]]):
        context = Context(x, "", 1)
        assert np.argsort(made.expected_quality(context, ARMS)).tolist() == np.argsort(WORLD @ x).tolist()
        probs = made.probs(context, ARMS, FREE)
        assert probs.argmax() == (WORLD @ x).argmax()
        assert probs[3] < 0.001


def test_both_kinds_of_evidence_together_lose_less_than_either_alone() -> None:
    losses = []
    for seed in range(12):
        told, compared = thumbs(600, seed=seed), preferences(150, seed=100 + seed)  # either alone teaches about as much
        both, rewards, pairs = policy(), policy(), policy()
        both.learn([*told, *compared])
        rewards.learn(told)
        pairs.learn(compared)
        losses.append([lost(one) for one in (both, rewards, pairs)])
    mixed, by_thumbs, by_preferences = np.mean(losses, axis=0)
    assert mixed < 0.75 * min(by_thumbs, by_preferences)


def test_thumbs_set_the_level_and_preferences_the_order() -> None:
    made = policy(1)
    one = np.ones(1)
    made.learn([RewardChange("a", one, 1.0, value, value) for value in (1.0, 1.0, 1.0, 0.0) * 50])
    made.learn([PreferenceChange(*pair, one) for pair in (("b", "a"), ("b", "a"), ("a", "b")) * 50])
    found = made.expected_quality(Context(one, "", 1), ["a", "b"])
    assert found[0] == pytest.approx(0.75, abs=0.02)
    assert found[1] - found[0] == pytest.approx(np.log(2) / SCALE, abs=0.03)  # preferred two times in three


@pytest.mark.parametrize(
    ("pairs", "off"),
    [([(i, j) for i in range(8) for j in range(i)], 0.012), ([(i, i + 1) for i in range(7)], 0.15)],
    ids=["all pairs", "a chain"],
)
def test_p_best_is_as_far_off_that_of_correlated_arms_as_is_said(pairs: list[tuple[int, int]], off: float) -> None:
    rng, one, names = np.random.default_rng(4), np.ones(1), [f"arm {k}" for k in range(8)]
    made, quality = DuelingLinTS(d=1, exploration=1.0), rng.normal(0.6, 0.1, 8)
    for name in names:
        made.add_arm(name)
    for i, j in pairs * 20:
        wins = rng.random() < 1 / (1 + np.exp(-SCALE * (quality[i] - quality[j])))
        made.learn([PreferenceChange(*((names[i], names[j]) if wins else (names[j], names[i])), one)])
    mean, covariance = made.posterior.coefficients()
    drawn = rng.multivariate_normal(mean[:, 0], covariance[:, 0, :, 0], 100_000).argmax(axis=1)
    best = np.bincount(drawn, minlength=8) / 100_000
    assert np.abs(best - made.probs(Context(one, "", 1), names, np.zeros(8))).max() < off


def test_learns_from_duels_against_what_it_serves() -> None:
    made, rng = policy(), np.random.default_rng(5)
    asked = queries(1500, rng)
    quality = asked @ WORLD.T
    regret = np.empty(1500)
    for t, x in enumerate(asked):
        probs = made.probs(Context(x, "", 1), ARMS, FREE)
        served = draw(probs, floor=0.02, rng=rng).action
        other = int(rng.choice([place for place in range(len(ARMS)) if place != served]))
        wins = rng.random() < 1 / (1 + np.exp(-SCALE * (quality[t, served] - quality[t, other])))
        better, worse = (served, other) if wins else (other, served)
        made.learn([PreferenceChange(ARMS[better], ARMS[worse], x)])
        regret[t] = quality[t].max() - quality[t, served]
    assert regret[-500:].mean() < 0.4 * regret[:100].mean()


def test_a_penalty_moves_traffic_without_learning() -> None:
    context = Context(np.array([0, 0, 0, 0, 1.0]), "", 1)
    assert policy().probs(context, ARMS, FREE) == pytest.approx(np.full(4, 0.25), abs=1e-3)
    assert policy().probs(context, ARMS, np.array([0.5, 0, 0, 0]))[0] < 0.1


def test_a_restored_policy_goes_on_with_preferences_like_the_one_it_came_from() -> None:
    made, again = policy(comparisons=60), policy(comparisons=60)
    made.learn([*preferences(100, seed=4), *thumbs(50, seed=4)])
    again.restore(made.state())
    for one in (made, again):
        one.learn(preferences(90, seed=6))
    x = Context(np.array([0.5, 0.1, 0, 0, 1.0]), "", 1)
    assert again.probs(x, ARMS, FREE).tolist() == made.probs(x, ARMS, FREE).tolist()
    assert again.state() == made.state()


def test_options_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="exploration must be a number > 0, got 0"):
        policy(exploration=0)
    with pytest.raises(ValueError, match="comparisons must be >= 1, got 0"):
        policy(comparisons=0)
    with pytest.raises(ValueError, match="scale must be a number > 0, got -1"):
        policy(scale=-1)
