from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.feedback.trust.anomaly_detector import (
    AnomalyDetector,
    AnomalyKind,
    AnomalyThresholds,
    SuspectedKey,
    _Arm,
    _DirectionalBet,
    _KeyRate,
    _Means,
)

MEANS = {"a": 0.6, "b": 0.8}
SWAPPED = {"a": 1.0, "b": 0.0}  # the worse arm praised, the better one run down
DAY_S = 86_400.0


def heard(
    alarm: AnomalyDetector, rates: Mapping[str, float], means: Mapping[str, Mapping[str, float]], *, seed: int,
    begin: float, days: float,
) -> Iterator[tuple[str, SuspectedKey | None]]:  # fmt: skip
    """Have keys send Poisson traffic with a daily rhythm; yield who spoke, and whether that gave somebody away."""
    rng, at = np.random.default_rng(seed), begin
    names, whole = list(rates), sum(rates.values())
    shares = np.cumsum([rates[name] / whole for name in names])
    while at < begin + days * DAY_S:
        at += rng.exponential(60.0 / (whole * (1.0 + 0.9 * np.sin(2 * np.pi * at / DAY_S))))
        key, arm = names[min(int(np.searchsorted(shares, rng.random())), len(names) - 1)], "ab"[int(rng.random() < 0.5)]
        quality = float(rng.random() < means.get(key, MEANS)[arm])
        yield key, alarm.observe(key, tenant="t", arm=arm, quality=quality, at=at)


def suspected(found: Iterator[tuple[str, SuspectedKey | None]]) -> list[SuspectedKey]:
    return [one for _, one in found if one is not None]


def first(found: Iterator[tuple[str, SuspectedKey | None]], key: str) -> tuple[SuspectedKey | None, int]:
    """Return what gave somebody away at first, and how many statements of the key that took."""
    spoken = 0
    for name, one in found:
        spoken += name == key
        if one is not None:
            return one, spoken
    return None, spoken


def test_honest_keys_of_different_pickiness_raise_no_alarm_in_a_hundred_days_while_a_model_falls_and_recovers() -> None:
    alarm, rates, found = AnomalyDetector(), {"k1": 1.0, "k2": 2.0, "k3": 3.0, "k4": 5.0}, []
    for day in range(25):
        fallen = {"a": 0.15, "b": 0.8} if day % 4 == 3 else MEANS
        means = {
            key: {arm: mean + less for arm, mean in fallen.items()}
            for key, less in zip(rates, (0.0, 0.1, -0.1, 0.05), strict=True)
        }
        found += suspected(heard(alarm, rates, means, seed=day, begin=day * DAY_S, days=1.0))
    assert found == []


def test_when_a_model_falls_nobody_is_suspected_even_of_two_of_whom_one_hardly_speaks() -> None:
    alarm, rates = AnomalyDetector(), {"busy": 20.0, "quiet": 0.2}
    assert suspected(heard(alarm, rates, {}, seed=0, begin=0.0, days=1.0)) == []
    fallen = {key: {"a": 0.1, "b": 0.1} for key in rates}
    assert suspected(heard(alarm, rates, fallen, seed=1, begin=DAY_S, days=1.0)) == []


def flood(alarm: AnomalyDetector, *, begin: float, count: int = 10_000) -> tuple[SuspectedKey | None, int]:
    found = (
        ("bad", alarm.observe("bad", tenant="t", arm="a", quality=0.0, at=begin + n * 0.006)) for n in range(count)
    )
    return first(found, "bad")


def test_a_flood_is_noticed_within_sixty_statements_and_suspected_from_its_beginning() -> None:
    alarm, begin = AnomalyDetector(), 2 * DAY_S
    assert suspected(heard(alarm, {"bad": 3.0, "good": 3.0}, {}, seed=1, begin=0.0, days=2.0)) == []
    found, after = flood(alarm, begin=begin)
    assert found is not None
    assert (found.why, found.key) == (AnomalyKind.BURST, "bad")
    assert after <= 60
    assert begin - 60 < found.since <= begin


def test_a_new_key_floods_by_its_tenants_other_keys_or_by_the_ceiling_where_there_are_none() -> None:
    alone, beside = (
        AnomalyDetector(AnomalyThresholds(burst_young=200.0)),
        AnomalyDetector(AnomalyThresholds(burst_young=200.0)),
    )
    for n in range(2000):
        beside.observe("good", tenant="t", arm="a", quality=1.0, at=n * 6.0)
        alone.observe("good", tenant="another", arm="a", quality=1.0, at=n * 6.0)
    assert flood(alone, begin=12_000.0)[1] == 201
    assert flood(beside, begin=12_000.0)[1] == pytest.approx(101, abs=2)


def test_after_a_holiday_a_busy_key_may_do_what_it_did_before() -> None:
    alarm, month = AnomalyDetector(), 30 * DAY_S
    for begin in (0.0, month):
        assert all(
            alarm.observe("k", tenant="t", arm="a", quality=1.0, at=begin + n * 0.4) is None for n in range(20_000)
        )


@pytest.mark.parametrize(("others", "at_most"), [(1, 350), (3, 250)])
@pytest.mark.parametrize("honest_days", [0.1, 1.0, 6.0])
def test_a_key_that_turns_is_noticed_soon_however_long_it_was_honest_and_the_others_stay_trusted(
    others: int, at_most: int, honest_days: float
) -> None:
    alarm, rates, begin = (
        AnomalyDetector(),
        {"bad": 3.0, **{f"good{n}": 3.0 for n in range(others)}},
        honest_days * DAY_S,
    )
    assert suspected(heard(alarm, rates, {}, seed=2, begin=0.0, days=honest_days)) == []
    found, after = first(heard(alarm, rates, {"bad": SWAPPED}, seed=3, begin=begin, days=2.0), "bad")
    assert found is not None
    assert (found.key, found.why) == ("bad", AnomalyKind.SHIFT)
    assert after < at_most
    assert found.since > begin - 3600
    assert suspected(heard(alarm, rates, {"bad": SWAPPED}, seed=4, begin=begin + DAY_S, days=1.0)) == []


def test_a_newcomer_that_lies_from_its_first_word_is_the_one_suspected() -> None:
    alarm = AnomalyDetector()
    assert suspected(heard(alarm, {"good": 3.0}, {}, seed=5, begin=0.0, days=1.0)) == []
    found, after = first(
        heard(alarm, {"good": 3.0, "bad": 3.0}, {"bad": SWAPPED}, seed=6, begin=DAY_S, days=1.0), "bad"
    )
    assert found is not None
    assert found.key == "bad"
    assert after < 350


@pytest.mark.parametrize(("quality", "suspects"), [(0.4, []), (0.8, []), (0.05, ["new"])])
@pytest.mark.parametrize("arms", ["a", "ab"])
def test_an_honest_newcomer_may_be_pickier_or_kinder_by_nearly_twice_the_tolerance(
    quality: float, suspects: list[str], arms: str
) -> None:
    alarm, told = AnomalyDetector(), []  # of .75, the one that everybody knows says; the tolerance is .25
    for n in range(100):
        alarm.observe("known", tenant="t", arm=arms[n % len(arms)], quality=0.75, at=n * 30.0)
    for n in range(100, 800):
        for key, said in (("known", 0.75), ("new", quality)):
            told.append(alarm.observe(key, tenant="t", arm=arms[n % len(arms)], quality=said, at=n * 30.0))
    assert [one.key for one in told if one is not None] == suspects


def test_of_two_keys_that_disagree_from_the_start_and_of_one_that_is_alone_nobody_is_suspected() -> None:
    alarm = AnomalyDetector()
    assert suspected(heard(alarm, {"x": 3.0, "y": 3.0}, {"x": SWAPPED}, seed=7, begin=0.0, days=2.0)) == []
    alone = AnomalyDetector()
    assert suspected(heard(alone, {"x": 3.0}, {}, seed=8, begin=0.0, days=1.0)) == []
    assert suspected(heard(alone, {"x": 3.0}, {"x": SWAPPED}, seed=9, begin=DAY_S, days=1.0)) == []


def test_a_key_that_a_person_has_released_may_go_on_to_differ_as_it_did_and_no_further() -> None:
    alarm, rates = AnomalyDetector(), {"good": 3.0, "own": 3.0, "other": 3.0}
    assert suspected(heard(alarm, {"good": 3.0, "other": 3.0}, {}, seed=10, begin=0.0, days=1.0)) == []
    hard = {"own": {"a": 0.0, "b": 0.0}}  # asks for what no model can do
    for turn in range(2):  # once for each arm, at most
        found = suspected(heard(alarm, rates, hard, seed=11 + turn, begin=DAY_S * (1 + turn), days=1.0))
        assert [one.key for one in found] == ["own"]
        alarm.clear("own")
    assert suspected(heard(alarm, rates, hard, seed=14, begin=4 * DAY_S, days=3.0)) == []
    lies = {"own": {"a": 1.0, "b": 1.0}}
    assert [one.key for one in suspected(heard(alarm, rates, lies, seed=15, begin=7 * DAY_S, days=1.0))] == ["own"]


def test_a_key_released_after_a_burst_has_a_rate_of_its_own_again_before_it_can_burst_below_the_ceiling() -> None:
    alarm, at = AnomalyDetector(), 0.0
    for n in range(2000):
        alarm.observe("quiet", tenant="t", arm="a", quality=1.0, at=n * 60.0)
    told = 0
    for n in range(20_000):
        at = 120_000.0 + n * 0.5  # a new application, 120 a minute
        if alarm.observe("app", tenant="t", arm="a", quality=1.0, at=at) is not None:
            told += 1
            alarm.clear("app")
    assert told == 1


@pytest.mark.parametrize("quality", [0.45, 0.95])
def test_a_key_that_a_person_has_released_may_be_pickier_or_kinder_by_as_much_as_any_other(
    quality: float,
) -> None:
    alarm, told = AnomalyDetector(AnomalyThresholds(burst_young=10.0)), []
    for n in range(40):
        alarm.observe("known", tenant="t", arm="a", quality=0.75, at=n * 30.0)
    for n in range(70):
        told.append(alarm.observe("new", tenant="t", arm="a", quality=0.75, at=1200.0 + n / 10))
    assert [one.why for one in told if one is not None] == [AnomalyKind.BURST]
    alarm.clear("new")
    for n in range(600):
        for key, said in (("known", 0.75), ("new", quality)):
            assert alarm.observe(key, tenant="t", arm="a", quality=said, at=1300.0 + n * 30.0) is None


def test_a_suspect_is_told_once_until_it_is_cleared() -> None:
    alarm = AnomalyDetector(AnomalyThresholds(burst_young=10.0, burst_floor=10.0))
    told = [alarm.observe("k", tenant="t", arm="a", quality=1.0, at=float(n) / 10) for n in range(50)]
    assert sum(one is not None for one in told) == 1
    alarm.clear("k")
    alarm.clear("nobody")
    told = [alarm.observe("k", tenant="t", arm="a", quality=1.0, at=10 + float(n) / 10) for n in range(50)]
    assert sum(one is not None for one in told) == 1


STATEMENT = st.tuples(
    st.sampled_from("xyz"), st.sampled_from("ab"), st.none() | st.floats(0.0, 1.0), st.floats(0.0, 100.0)
)


@settings(max_examples=60, deadline=None)
@given(statements=st.lists(STATEMENT, max_size=200), tolerance=st.floats(0.01, 0.99))
def test_whatever_is_said_the_same_statements_raise_the_same_alarms_and_each_is_dated_before_it(
    statements: list[tuple[str, str, float | None, float]], tolerance: float
) -> None:
    when = AnomalyThresholds(burst_floor=5.0, burst_young=8.0, tolerance=tolerance, false_alarms=0.05)
    runs = []
    for _ in range(2):
        alarm, at, found = AnomalyDetector(when), 0.0, []
        for key, arm, quality, wait_s in statements:
            at += wait_s
            one = alarm.observe(key, tenant="t", arm=arm, quality=quality, at=at)
            if one is not None:
                assert one.since <= at
                alarm.clear(key)
            found.append(one)
        runs.append(found)
    assert all(one == another for one, another in pairwise(runs))


def test_what_is_usual_of_a_key_is_its_rate_in_the_time_that_it_is_in_use_and_fades_in_a_day() -> None:
    steady, twice = _KeyRate(0.0), _KeyRate(0.0)
    for n in range(1, 5 * 24 * 60):
        steady.count(60.0 * n)
        twice.count(60.0 * n)
    assert steady.usual() == pytest.approx(1.0, rel=0.01)
    steady.count(30 * DAY_S)  # after a holiday, which passes for an hour
    assert steady.usual() == pytest.approx(1.0, rel=0.04)
    for n in range(2 * 24 * 60):
        twice.count(5 * DAY_S + 30.0 * n)  # twice as much, for a day
    assert twice.usual() == pytest.approx(1.5, rel=0.05)
    fresh = _KeyRate(0.0)
    for _ in range(5):
        fresh.count(0.0)
    assert fresh.usual() == pytest.approx(5.0, rel=0.01), "as if of a minute at least"


def test_a_minute_ends_with_the_sixtieth_second() -> None:
    rate = _KeyRate(0.0)
    for at in (0.0, 1.0, 59.0, 60.0):
        rate.count(at)
    assert list(rate.recent) == [1.0, 59.0, 60.0]


def test_bets_grow_by_what_a_key_is_off_beyond_what_is_usual_of_it_and_the_slack() -> None:
    side = _DirectionalBet(-1)
    first, second = (side.settle(0.0, 1.0, since=since, usual=-0.1, slack=0.25) for since in (5.0, 6.0))
    gain, worst = 1.0 - 0.1 - 0.25, 1.35
    assert first == pytest.approx(np.mean([1.0 + bet / worst * gain for bet in (0.2, 0.45, 0.9)]))
    assert second == pytest.approx(np.mean([(1.0 + bet / worst * gain) ** 2 for bet in (0.2, 0.45, 0.9)]))
    assert (side.since, side.stretch.weight, side.stretch.own, side.stretch.others) == (5.0, 2.0, 0.0, 1.0)
    kinder = _DirectionalBet(1)
    assert kinder.settle(0.0, 1.0, since=5.0, usual=0.0, slack=0.25) == 1.0
    assert (kinder.past.weight, kinder.stretch.weight) == (1.0, 0.0), "what speaks for nothing is past"


def past_and_now(
    past: tuple[float, float], now: tuple[float, float], *, weight: float = 30.0, direction: int = 1
) -> _DirectionalBet:
    """Return a side that a key was kinder on, as told, or harsher by as much."""
    side = _DirectionalBet(direction)
    for means, count, pair in ((side.past, weight, past), (side.stretch, 10.0, now)):
        means.add(count, *(pair if direction > 0 else [1.0 - quality for quality in pair]))
    return side


@pytest.mark.parametrize(
    ("past", "now", "suspect", "guilty", "kept"),
    [
        ((0.5, 0.5), (0.9, 0.5), False, True, 30.0),  # it moved away
        ((0.5, 0.9), (0.9, 0.9), False, True, 30.0),
        ((0.5, 0.5), (0.5, 0.1), False, False, 30.0),  # the others did, and that is left out of the past
        ((0.5, 0.5), (0.6, 0.5), False, False, 40.0),  # too little
        ((0.9, 0.5), (0.9, 0.3), True, True, 30.0),  # they never agreed: a newcomer, far from the others
        ((0.9, 0.5), (0.9, 0.3), False, False, 40.0),  # whoever else may be right
        ((0.9, 0.5), (0.9, 0.5), True, False, 40.0),  # not far enough
    ],
)
def test_the_key_is_guilty_that_moved_or_that_came_new_and_far_from_the_others(
    past: tuple[float, float], now: tuple[float, float], suspect: bool, guilty: bool, kept: float
) -> None:
    for direction in (1, -1):
        side = past_and_now(past, now, direction=direction)
        assert side.verdict(0.0, suspect=suspect, tolerance=0.25) == guilty
        assert side.past.weight == kept
        assert (side.stretch.weight == 10.0) == guilty


def test_a_past_of_fewer_than_thirty_comparisons_is_none() -> None:
    assert past_and_now((0.5, 0.5), (0.9, 0.5)).verdict(0.0, suspect=False, tolerance=0.25)
    assert not past_and_now((0.5, 0.5), (0.9, 0.5), weight=29.0).verdict(0.0, suspect=False, tolerance=0.25)


def test_a_past_follows_what_changes_after_two_thousand_comparisons() -> None:
    means = _Means()
    for _ in range(10_000):
        means.add(1.0, 0.0, 1.0)
    means.add(200.0, 1.0, 0.0)
    assert (means.weight, means.own, means.others) == pytest.approx((2000.0, 0.1, 0.9))


def test_a_key_is_compared_with_the_last_word_of_eight_others_at_most_since_it_last_spoke() -> None:
    arm = _Arm()
    for number in range(10):
        arm.add(f"k{number}", number / 10)
    arm.add("me", 1.0)
    arm.add("k3", 0.35)
    assert arm.others("me", 0) == pytest.approx([0.35, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.2])
    assert arm.others("me", 9) == pytest.approx([0.35, 0.9])
    assert arm.others("k3", 10) == [1.0]
    assert arm.others("k3", 11) == []


def test_a_shift_is_told_with_what_the_key_says_and_what_others_do_since_it_began() -> None:
    alarm, told = AnomalyDetector(), []
    for n in range(400):
        for key, quality in (("good", 0.75), ("bad", 0.75 if n < 100 else 0.0)):
            told.append(alarm.observe(key, tenant="t", arm="small", quality=quality, at=n * 30.0))
    (suspect,) = [one for one in told if one is not None]
    assert suspect.detail == "what it says of small is worth 0.00 on average, where others say 0.75"
    assert (suspect.key, suspect.since) == ("bad", 3000.0)
