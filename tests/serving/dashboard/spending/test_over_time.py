"""Dollars over time, of buckets made by hand."""

import pytest

from highwayman.feedback.fold.tallies.history import ArmSums, HistoryBucket, TotalSums
from highwayman.serving.dashboard.spending.over_time import HOUR_S, INTERNAL, by_hour, spent_since

DAY = 20_000 * 86_400.0
BUCKETS = [
    HistoryBucket(DAY - HOUR_S, DAY + HOUR_S, TotalSums(), {"a": ArmSums(cost_usd=4.0)}),
    HistoryBucket(DAY + HOUR_S, DAY + 1.5 * HOUR_S, TotalSums(internal_usd=0.5), {"b": ArmSums(cost_usd=1.0)}),
]


def test_what_was_spent_since_a_moment_takes_its_part_of_a_bucket_that_began_before_it() -> None:
    since = spent_since(BUCKETS, DAY)
    assert (since.at, since.usd) == ([DAY, DAY + HOUR_S, DAY + 1.5 * HOUR_S], [0.0, 2.0, 3.5])
    assert since.by_arm == {"a": 2.0, "b": 1.0, INTERNAL: 0.5}


def test_where_nothing_came_nothing_is_spent_and_the_line_is_level() -> None:
    since = spent_since(BUCKETS[1:], DAY)
    assert (since.at, since.usd) == ([DAY, DAY + HOUR_S, DAY + 1.5 * HOUR_S], [0.0, 0.0, 1.5])


def test_by_the_hour_a_bucket_is_shared_out_and_nothing_is_lost() -> None:
    hours, arms = by_hour(BUCKETS, DAY - HOUR_S, DAY + 2 * HOUR_S)
    assert hours == [DAY - HOUR_S, DAY, DAY + HOUR_S]
    assert arms["a"] == pytest.approx([2.0, 2.0, 0.0])
    assert arms["b"] == pytest.approx([0.0, 0.0, 1.0])
