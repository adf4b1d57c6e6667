import numpy as np
import pytest

from highwayman.feedback.alarm import Alarm, Suspicion, Thresholds, Why

ARMS = ("a", "b")
MEANS = {"a": 0.6, "b": 0.8}


def traffic(
    alarm: Alarm,
    rng: np.random.Generator,
    *,
    key: str,
    per_minute: float,
    minutes: float,
    begin: float,
    means: dict[str, float] = MEANS,
) -> tuple[list[Suspicion], int]:
    """Honest Poisson traffic with a daily rhythm; return what was suspected, and after how many statements at first."""
    at, heard, found = begin, 0, []
    while at < begin + 60 * minutes:
        busy = 1.0 + 0.9 * np.sin(2 * np.pi * at / 86_400)
        at += rng.exponential(60.0 / (per_minute * busy))
        arm = ARMS[int(rng.random() < 0.5)]
        heard += 1
        one = alarm.heard(key, tenant="t", arm=arm, quality=float(rng.random() < means[arm]), at=at)
        if one is not None:
            found.append(one)
            break
    return found, heard


def test_honest_keys_of_different_pickiness_raise_no_alarm_in_a_hundred_days() -> None:
    rng, alarm = np.random.default_rng(0), Alarm()
    suspected = []
    for day in range(25):
        for key, less in (("k1", 0.0), ("k2", 0.1), ("k3", -0.1), ("k4", 0.0)):
            own = {arm: mean + less for arm, mean in MEANS.items()}
            suspected += traffic(alarm, rng, key=key, per_minute=3.0, minutes=1440, begin=86_400.0 * day, means=own)[0]
    assert suspected == []


def test_a_flood_is_noticed_within_sixty_statements_and_suspected_from_its_beginning() -> None:
    rng, alarm = np.random.default_rng(1), Alarm()
    traffic(alarm, rng, key="bad", per_minute=3.0, minutes=2000, begin=0.0)
    begin = 130_000.0
    for number in range(10_000):
        found = alarm.heard("bad", tenant="t", arm="a", quality=0.0, at=begin + number * 0.006)
        if found is not None:
            break
    assert found is not None
    assert (found.why, found.key) == (Why.BURST, "bad")
    assert number <= 60
    assert begin - 60 < found.since <= begin


@pytest.mark.parametrize("others", [True, False])
def test_a_key_that_turns_is_noticed_where_others_speak_of_the_same_arms_and_only_there(others: bool) -> None:
    rng, alarm = np.random.default_rng(2), Alarm()
    for key in ("bad", *(("good",) if others else ())):
        traffic(alarm, rng, key=key, per_minute=3.0, minutes=600, begin=0.0)
    lies = {"a": 0.0, "b": 0.0}
    found, heard = traffic(alarm, rng, key="bad", per_minute=3.0, minutes=600, begin=36_000.0, means=lies)
    if others:
        assert [one.why for one in found] == [Why.SHIFT]
        assert heard < 200
    else:
        assert found == []


def test_a_suspect_is_told_once_until_it_is_cleared() -> None:
    alarm = Alarm(Thresholds(burst_young=10.0, burst_floor=10.0))
    told = [alarm.heard("k", tenant="t", arm="a", quality=1.0, at=float(n) / 10) for n in range(50)]
    assert sum(one is not None for one in told) == 1
    alarm.clear("k")
    told = [alarm.heard("k", tenant="t", arm="a", quality=1.0, at=10 + float(n) / 10) for n in range(50)]
    assert sum(one is not None for one in told) == 1
