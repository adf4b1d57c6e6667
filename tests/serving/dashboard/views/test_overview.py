"""The overview's time axis."""

from highwayman.feedback.fold.tallies.history import HistoryBucket, TotalSums
from highwayman.serving.dashboard.views.overview import least_stretch_s
from highwayman.serving.insight.history_view import joined_buckets


def _buckets(seconds: float, *, each_s: float) -> list[HistoryBucket]:
    count = int(seconds / each_s)
    return [HistoryBucket(1e9 + k * each_s, 1e9 + (k + 1) * each_s, TotalSums(), {}) for k in range(count)]


def test_the_first_minutes_of_a_router_are_told_apart_and_a_long_time_is_some_forty_stretches() -> None:
    first, week = _buckets(600.0, each_s=30.0), _buckets(7 * 86400.0, each_s=600.0)
    assert len(joined_buckets(first, least_stretch_s(first))) == 20
    assert 30 <= len(joined_buckets(week, least_stretch_s(week))) <= 40
    assert least_stretch_s([]) == 0.0
