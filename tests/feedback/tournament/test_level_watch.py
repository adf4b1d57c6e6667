"""A level of rewards, and a fall below it."""

import numpy as np
import pytest

from highwayman.feedback.tournament.level_watch import LevelWatch


def after(*stretches: tuple[int, float], seed: int = 0) -> LevelWatch:
    """A watch that saw a first stretch of rewards, was frozen, and then saw the others."""
    rng, watch = np.random.default_rng(seed), LevelWatch()
    for place, (n, mean) in enumerate(stretches):
        for reward in rng.random(n) < mean:
            watch.observe(float(reward))
        if not place:
            watch.freeze()
    return watch


def test_a_fall_by_ten_points_is_noticed_and_rewards_as_before_are_not() -> None:
    assert after((5000, 0.7), (2000, 0.6)).alarmed
    assert not any(after((5000, 0.7), (2000, 0.7), seed=seed).alarmed for seed in range(5))


def test_until_it_is_frozen_it_follows_and_of_few_rounds_it_knows_nothing() -> None:
    watch = after((300, 0.7))
    watch.thaw()
    for _ in range(3000):
        watch.observe(0.0)
    assert watch.mean == pytest.approx(0.06, abs=0.01)
    assert not watch.alarmed
    assert not after((50, 0.9), (2000, 0.0)).alarmed


def test_what_was_watched_long_enough_is_followed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("highwayman.feedback.tournament.level_watch.WATCHED_ROUNDS", 500.0)
    assert not after((500, 0.7), (501, 0.7)).frozen


def test_a_watch_goes_on_from_its_state() -> None:
    watch = after((500, 0.7), (300, 0.5))
    resumed = LevelWatch.from_state(watch.state())
    watch.observe(0.0)
    resumed.observe(0.0)
    assert resumed.state() == watch.state()


def test_of_a_level_that_few_rounds_tell_a_fall_must_be_larger_to_be_seen() -> None:
    known, hardly = (after((n, 0.7), (1, 0.7)) for n in (10_000, 200))
    assert known._allowance == pytest.approx(0.005)
    assert hardly._allowance == pytest.approx(0.032, abs=0.003)


def test_a_fall_by_five_points_is_seen_within_as_few_rounds_as_cost_half_a_percent_of_a_period() -> None:
    seen = [after((10_000, 0.7), (3_500, 0.65), seed=seed).alarmed for seed in range(20)]
    assert sum(seen) >= 14


def test_a_level_that_is_reached_rarely_alarms_in_as_many_rounds_as_it_is_watched() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(20):
        watch = after((10_000, 0.7))
        for reward in (rng.random(5_000) < watch.mean).tolist():
            watch.observe(float(reward))
            alarms += watch.alarmed
    assert not alarms
