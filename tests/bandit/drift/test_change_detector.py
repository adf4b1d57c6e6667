from typing import Any

import numpy as np
import pytest

from benchmarks.drift import MonitoredPolicy
from highwayman.bandit.drift.change_detector import ChangeDetector
from highwayman.bandit.drift.change_monitor import ChangeMonitor, discount_share
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.snapshot import unpack
from highwayman.env.types import Context, RewardChange

ONE = np.ones(1)


def thumb(value: float, *, arm: str = "a", at: float = 1.0) -> RewardChange:
    return RewardChange(arm, ONE, 1.0, value, value**2, at)


@pytest.mark.parametrize(("answers", "share"), [(0, 1.0), (5, 1.0), (10, 1.0), (40, 0.25)])
def test_what_was_known_of_a_changed_arm_is_worth_ten_answers_or_as_many_as_there_were(
    answers: int, share: float
) -> None:
    policy = HierTS(d=1)
    policy.add_arm("a")
    policy.learn([thumb(1.0)] * answers)
    assert discount_share(policy, "a") == pytest.approx(share)


def alarms(values: np.ndarray, *, expected: float) -> int:
    """Return how often a detector with a rate of 500 sounds on rewards that were expected to be so much."""
    detector = ChangeDetector(500.0)
    return sum(detector.observe(expected, thumb(float(value))) is not None for value in values)


@pytest.mark.parametrize("quality", [0.05, 0.5, 0.84, 0.97])
def test_false_alarms_come_no_more_often_than_said_whatever_the_arm_is_like(quality: float) -> None:
    values = np.random.default_rng(0).random(40_000) < quality
    assert alarms(values, expected=quality) <= 40_000 / 500


def test_a_reward_beside_which_another_was_changed_cannot_win_more_than_any_other() -> None:
    usual, odd = ChangeDetector(100_000.0), ChangeDetector(100_000.0)
    for detector, weighted in ((usual, 0.0), (odd, -40.0)):  # a thumb flips while a second person's comes
        for _ in range(3):
            assert detector.observe(0.9, RewardChange("a", ONE, 1.0, weighted, weighted**2, 1.0)) is None
    sounded = [
        next(n for n in range(100) if detector.observe(0.9, thumb(0.0)) is not None) for detector in (usual, odd)
    ]
    assert sounded[0] == sounded[1]


@pytest.mark.parametrize("sources", [("people",), ("people", "judge"), ("people", "judge", "tests")])
def test_several_sources_that_say_the_same_of_each_answer_give_a_change_away_no_sooner_than_one(
    sources: tuple[str, ...],
) -> None:
    alone, together = ChangeDetector(100_000.0), ChangeDetector(100_000.0)
    answers = next(n for n in range(100) if alone.observe(0.9, thumb(0.0)) is not None)
    for n in range(answers + 1):
        changes = [together.observe(0.9, thumb(0.0), source=source, first=source == sources[0]) for source in sources]
        assert any(changes) == (n == answers)


def test_an_arm_off_by_no_more_than_the_allowance_is_left_alone() -> None:
    values = np.random.default_rng(0).random(25_000) < 0.6
    assert alarms(values, expected=0.7) <= 50
    assert alarms(values, expected=0.5) <= 50


def test_a_halved_quality_is_noticed_within_some_hundred_rounds_and_dated() -> None:
    rng, delays = np.random.default_rng(1), []
    for _ in range(200):
        detector = ChangeDetector(100_000.0)
        for value in rng.random(100) < 0.8:
            detector.observe(0.8, thumb(float(value)))
        later = (detector.observe(0.8, thumb(float(value), at=7.0)) for value in rng.random(900) < 0.4)
        delay, change = next((n, found) for n, found in enumerate(later, 1) if found is not None)
        assert (change.arm, change.at, change.direction) == ("a", 7.0, -1)
        assert change.rounds <= 100 + delay
        delays.append(delay)
    assert np.median(delays) < 100


def watched_policy() -> MonitoredPolicy:
    made = MonitoredPolicy(HierTS(d=1), ChangeMonitor(ChangeDetector(100_000.0)), fingerprint="")
    for arm in ("a", "b"):
        made.add_arm(arm)
    return made


def test_after_a_change_the_arm_is_learned_anew_and_the_other_as_it_was() -> None:
    rng, inner, blind = np.random.default_rng(2), HierTS(d=1), HierTS(d=1)
    watched = MonitoredPolicy(inner, ChangeMonitor(ChangeDetector(100_000.0)), fingerprint="")
    for arm in ("a", "b"):
        watched.add_arm(arm)
        blind.add_arm(arm)
    good = [thumb(float(rng.random() < 0.9), at=1.0 + n) for n in range(3000)]
    other = [thumb(float(rng.random() < 0.6), arm="b", at=1.0 + n) for n in range(3000)]
    bad = [thumb(float(rng.random() < 0.3), at=4000.0 + n) for n in range(150)]
    for one in (watched, blind):
        one.learn([*good, *other])
        one.learn(bad)
    assert [(change.arm, change.direction) for change in watched.changes] == [("a", -1)]
    context = Context(ONE, "", 1)
    seen, unseen = (one.expected_quality(context, ["a", "b"]) for one in (inner, blind))
    assert seen[0] < 0.5
    assert unseen[0] > 0.85
    assert seen[1] == pytest.approx(unseen[1], abs=0.02)


def test_a_revision_is_no_surprise() -> None:
    made = watched_policy()
    made.learn([thumb(1.0)] * 300)
    made.learn([RewardChange("a", ONE, 0.0, -1.0, -1.0, 1.0)] * 100)  # a hundred thumbs flip
    assert made.changes == []


def sums(of: Any) -> list[float]:
    arrays = unpack(of.state())[1]
    return [float(one) for name in ("a", "b", "sums") for one in arrays[name].ravel()]


@pytest.mark.parametrize("make", [HierTS, LinTS])
def test_what_was_decided_before_a_doubt_counts_for_its_share_whenever_it_is_said_and_erased_exactly(make: Any) -> None:
    early, late = [thumb(1.0, at=float(n)) for n in range(1, 41)], [thumb(0.0, at=100.0 + n) for n in range(5)]
    in_order, out_of_order, erased, without = (make(d=1) for _ in range(4))
    for one in (in_order, out_of_order, erased, without):
        one.add_arm("a")
    in_order.learn(early)
    in_order.discount("a", share=0.25)
    in_order.learn(late)
    out_of_order.learn([*early[:9], early[-1]])
    out_of_order.discount("a", share=0.25)
    out_of_order.learn([*late, *early[9:-1]])
    erased.learn(early)
    erased.discount("a", share=0.25)
    erased.learn([*late, RewardChange("a", ONE, -1.0, -1.0, -1.0, early[3].at)])
    without.learn([*early[:3], *early[4:]])
    without.discount("a", share=0.25)
    without.learn(late)
    assert in_order.weight_of("a") == pytest.approx(15.0)
    assert sums(in_order) == pytest.approx(sums(out_of_order), abs=1e-9)
    assert sums(erased) == pytest.approx(sums(without), abs=1e-9)
    again = make(d=1)
    again.restore(in_order.state())
    for one in (again, in_order):
        one.learn([thumb(1.0, at=30.0)])
    assert sums(again) == sums(in_order)
    assert in_order.weight_of("a") == pytest.approx(15.25)


def test_an_alarm_rate_or_a_share_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="false_alarm_every must be a number of rounds > 10, got 0"):
        ChangeDetector(0)
    policy = HierTS(d=1)
    policy.add_arm("a")
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], got 0"):
        policy.discount("a", share=0.0)
