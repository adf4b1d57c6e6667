import numpy as np
import pytest

from highwayman.bandit.change_detector import ChangeDetector
from highwayman.bandit.hier_ts import HierTS
from highwayman.env.types import RewardChange

ONE = np.ones(1)


def thumb(value: float, *, arm: str = "a", at: float = 1.0) -> RewardChange:
    return RewardChange(arm, ONE, 1.0, value, value**2, at)


def alarms(detector: ChangeDetector, surprises: np.ndarray) -> int:
    detector.add_arm()
    return sum(detector.surprised(0, float(one), thumb(0.0)) is not None for one in surprises)


def test_false_alarms_come_about_as_seldom_as_asked_for() -> None:
    found = alarms(ChangeDetector(500.0), np.random.default_rng(0).normal(size=200_000))
    assert 200 < found < 600  # 400 are expected


def test_a_drop_of_one_deviation_is_noticed_within_some_thirty_rounds_and_dated() -> None:
    rng, delays = np.random.default_rng(1), []
    for _ in range(200):
        detector = ChangeDetector(100_000.0)
        detector.add_arm()
        for _ in range(100):
            detector.surprised(0, float(rng.normal()), thumb(0.0))
        delay = next(n for n in range(1, 500) if detector.surprised(0, float(rng.normal()) - 1.0, thumb(0.0, at=7.0)))
        delays.append(delay)
        (change,) = detector.changes
        assert (change.arm, change.at, change.direction) == ("a", 7.0, -1)
        assert change.rounds <= 100 + delay
    assert np.median(delays) < 30


def policy(**options: float | None) -> HierTS:
    made = HierTS(d=1, **options)  # type: ignore[arg-type]
    for arm in ("a", "b"):
        made.add_arm(arm)
    return made


def test_after_a_change_the_arm_is_learned_anew_and_the_other_as_it_was() -> None:
    rng = np.random.default_rng(2)
    good = [thumb(float(rng.random() < 0.9)) for _ in range(3000)]
    bad = [thumb(float(rng.random() < 0.3)) for _ in range(60)]
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
