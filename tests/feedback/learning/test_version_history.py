import itertools

from hypothesis import given
from hypothesis import strategies as st

from highwayman.feedback.learning.version_history import VersionInfo, versions_to_drop


def kept(*times: float) -> list[VersionInfo]:
    return [VersionInfo(number, at, "1-0", 0, 0) for number, at in enumerate(times)]


def test_few_versions_are_all_kept() -> None:
    assert versions_to_drop(kept(1.0, 2.0, 3.0), keep=3) == []


@given(st.lists(st.floats(1.0, 1e6), min_size=3, max_size=60, unique=True), st.integers(3, 20))
def test_the_oldest_and_the_newest_are_never_dropped_and_the_rest_is_as_many_as_wanted(
    times: list[float], keep: int
) -> None:
    there = kept(*sorted(times))
    gone = set(versions_to_drop(there, keep=keep))
    left = [about for about in there if about.version not in gone]
    assert len(left) == min(keep, len(there))
    assert (left[0], left[-1]) == (there[0], there[-1])


def test_a_month_of_versions_a_minute_apart_leaves_some_of_the_last_minutes_hours_and_days() -> None:
    left: list[VersionInfo] = []
    for minute in range(30 * 24 * 60):
        left.append(VersionInfo(minute, 60.0 * minute, "1-0", 0, 0))
        gone = set(versions_to_drop(left, keep=32))
        left = [about for about in left if about.version not in gone]
    ages = sorted(left[-1].at - about.at for about in left)
    assert sum(age <= 600 for age in ages) >= 3
    assert sum(600 < age <= 86_400 for age in ages) >= 6
    assert sum(age > 86_400 for age in ages) >= 6
    assert all(older <= 3 * newer + 600 for newer, older in itertools.pairwise(ages[:-1]))
