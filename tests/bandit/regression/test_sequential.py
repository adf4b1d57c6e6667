"""A stretch of rounds learned at once comes to what learning them one by one comes to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Floats, RewardChange

ARMS = ("a", "b", "c")
D = 4


def rounds(m: int, seed: int) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]], Floats]:
    """Features, actions and rewards of m rounds, a third of them without a word."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(m, D))
    features[:, -1] = 1.0
    return features, rng.integers(0, len(ARMS), m), np.where(rng.random(m) < 0.3, np.nan, rng.random(m))


def fresh() -> LinearPosterior:
    posterior = LinearPosterior(d=D)
    for arm in ARMS:
        posterior.add_arm(arm)
    return posterior


def taught(posterior: LinearPosterior, row: int, seed_rounds: tuple[Floats, Floats, Floats]) -> None:
    features, actions, rewards = seed_rounds
    reward = float(rewards[row])
    if not np.isnan(reward):
        posterior.update([RewardChange(ARMS[int(actions[row])], features[row], 1.0, reward, reward**2)])


@given(st.integers(0, 10_000), st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_what_was_believed_before_each_round_and_what_is_known_after_all(seed: int, sizes: list[int]) -> None:
    many, one, given_rounds = fresh(), fresh(), rounds(sum(sizes), seed)
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        features, actions, rewards = (column[part] for column in given_rounds)
        beliefs = many.learn_sequentially(features, ARMS, actions, rewards)
        for row in range(size):
            means, spreads = one.mean_and_std(features[row], ARMS)
            assert beliefs.means[row] == pytest.approx(means, abs=1e-9)
            assert beliefs.stds[row] == pytest.approx(spreads, abs=1e-9)
            known = beliefs.summaries.at(np.array([row]))
            assert np.ravel(known.noise_variance) == pytest.approx(one.noise_variance())
            assert np.ravel(known.total_weight) == pytest.approx(one.total_weight())
            taught(one, row, (features, actions, rewards))
        start += size
    probe = given_rounds[0][0]
    assert np.concatenate(many.predict(probe, ARMS)) == pytest.approx(np.concatenate(one.predict(probe, ARMS)))
    assert fresh_from(many).predict(probe, ARMS)[0] == pytest.approx(one.predict(probe, ARMS)[0])


@given(st.integers(0, 10_000), st.integers(1, 60))
def test_learning_many_is_learning_one_by_one(seed: int, m: int) -> None:
    many, one, (features, actions, rewards) = fresh(), fresh(), rounds(m, seed)
    many.learn_many(features, ARMS, actions, rewards)
    for row in range(m):
        taught(one, row, (features, actions, rewards))
    probe = features[0]
    assert np.concatenate(many.predict(probe, ARMS)) == pytest.approx(np.concatenate(one.predict(probe, ARMS)))
    assert many.noise_variance() == pytest.approx(one.noise_variance())


@pytest.mark.parametrize("half_life", [{"events": 10.0}, {"hours": 2.0}])
@given(seed=st.integers(0, 10_000), size=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_rounds_that_fade_are_learned_one_by_one_at_their_times(
    half_life: dict[str, float], seed: int, size: int
) -> None:
    one, many, believing = (LinearPosterior(d=D, forgetting=Forgetting(**half_life)) for _ in range(3))
    for posterior in (one, many, believing):
        for arm in ARMS:
            posterior.add_arm(arm)
    features, actions, rewards = rounds(40, seed)
    at = 1e9 + np.random.default_rng(seed).exponential(600.0, 40).cumsum()
    many.learn_many(features, ARMS, actions, rewards, at=at)
    beliefs = believing.learn_sequentially(features, ARMS, actions, rewards, at=at, frozen_for=size)
    for row in range(40):
        if row % size == 0:
            believed, noise, seen = [], one.noise_variance(), one.total_weight()
            believed = [one.mean_and_std(x, ARMS) for x in features[row : row + size]]
        means, spreads = believed[row % size]
        assert beliefs.means[row] == pytest.approx(means, abs=1e-9)
        assert beliefs.stds[row] == pytest.approx(spreads, abs=1e-9)
        known = beliefs.summaries.at(np.array([row]))
        assert (np.ravel(known.noise_variance), np.ravel(known.total_weight)) == (noise, seen)
        if not np.isnan(rewards[row]):
            reward = float(rewards[row])
            one.update([RewardChange(ARMS[actions[row]], features[row], 1.0, reward, reward**2, float(at[row]))])
    assert many.state() == believing.state() == one.state()
    assert one.total_weight() < 0.9 * np.isfinite(rewards).sum()


def test_thousands_of_rounds_lose_no_digits() -> None:
    many, (features, actions, rewards) = fresh(), rounds(5000, 1)
    for start in range(0, 5000, 50):
        part = slice(start, start + 50)
        many.learn_sequentially(features[part], ARMS, actions[part], rewards[part])
    assert many.predict(features[0], ARMS)[0] == pytest.approx(fresh_from(many).predict(features[0], ARMS)[0], abs=1e-9)


def test_what_is_known_now_is_known_of_every_round() -> None:
    known = PosteriorSummary(0.1, 3.0)
    assert known.at(np.array([4, 5])) is known


def fresh_from(posterior: LinearPosterior) -> LinearPosterior:
    """What a snapshot gives back: everything computed from the sums."""
    found = LinearPosterior(d=D)
    found.restore(posterior.state())
    return found
