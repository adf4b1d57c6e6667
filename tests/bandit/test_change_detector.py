import numpy as np
import pytest

from highwayman.bandit.change_detector import ChangeDetector
from highwayman.bandit.hier_ts import HierTS
from highwayman.env.types import RewardChange

ONE = np.ones(1)


def thumb(value: float, *, arm: str = "a", at: float = 1.0) -> RewardChange:
    return RewardChange(arm, ONE, 1.0, value, value**2, at)


def watched(detector: ChangeDetector, values: np.ndarray, *, expected: float) -> int:
    """Return how often the detector sounds on rewards that were expected to be so much."""
    detector.add_arm()
    return sum(detector.heard(0, expected, thumb(float(value))) is not None for value in values)


@pytest.mark.parametrize("quality", [0.05, 0.5, 0.84, 0.97])
def test_false_alarms_come_no_more_often_than_said_whatever_the_arm_is_like(quality: float) -> None:
    values = np.random.default_rng(0).random(200_000) < quality
    assert watched(ChangeDetector(500.0), values, expected=quality) <= 200_000 / 500


def test_an_arm_off_by_no_more_than_the_allowance_is_left_alone() -> None:
    values = np.random.default_rng(0).random(100_000) < 0.6
    assert watched(ChangeDetector(500.0), values, expected=0.7) <= 200
    assert watched(ChangeDetector(500.0), values, expected=0.5) <= 200


def test_a_halved_quality_is_noticed_within_some_hundred_rounds_and_dated() -> None:
    rng, delays = np.random.default_rng(1), []
    for _ in range(200):
        detector = ChangeDetector(100_000.0)
        detector.add_arm()
        for value in rng.random(100) < 0.8:
            detector.heard(0, 0.8, thumb(float(value)))
        delays.append(
            next(n for n in range(1, 900) if detector.heard(0, 0.8, thumb(float(rng.random() < 0.4), at=7.0)))
        )
        (change,) = detector.changes
        assert (change.arm, change.at, change.direction) == ("a", 7.0, -1)
        assert change.rounds <= 100 + delays[-1]
    assert np.median(delays) < 100


def policy(**options: float | None) -> HierTS:
    made = HierTS(d=1, **options)  # type: ignore[arg-type]
    for arm in ("a", "b"):
        made.add_arm(arm)
    return made


def test_after_a_change_the_arm_is_learned_anew_and_the_other_as_it_was() -> None:
    rng = np.random.default_rng(2)
    good = [thumb(float(rng.random() < 0.9)) for _ in range(3000)]
    bad = [thumb(float(rng.random() < 0.3)) for _ in range(150)]
    other = [thumb(float(rng.random() < 0.6), arm="b") for _ in range(3000)]
    watched, blind = policy(), policy(false_alarm_every=None)
    for one in (watched, blind):
        one.learn([*good, *other])
        one.learn(bad)
    assert [(change.arm, change.direction) for change in watched.changes()] == [("a", -1)]
    means = {name: one.posterior.spread(ONE, ["a", "b"])[0] for name, one in (("watched", watched), ("blind", blind))}
    assert means["watched"][0] < 0.5
    assert means["blind"][0] > 0.85
    assert means["watched"][1] == pytest.approx(means["blind"][1], abs=0.01)
    assert blind.changes() == ()


def test_what_was_noticed_survives_the_state() -> None:
    one, again = policy(), policy()
    one.learn([thumb(1.0)] * 300 + [thumb(0.0)] * 40)
    assert one.changes()
    again.restore(one.state())
    assert again.changes() == one.changes()
    assert again.state() == one.state()


def test_a_revision_is_no_surprise() -> None:
    made = policy()
    made.learn([thumb(1.0)] * 300)
    made.learn([RewardChange("a", ONE, 0.0, -1.0, -1.0, 1.0)] * 100)  # a hundred thumbs flip
    assert made.changes() == ()


def test_an_alarm_rate_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="false_alarm_every must be a number of rounds > 10, got 0"):
        ChangeDetector(0)
