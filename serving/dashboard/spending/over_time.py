"""Dollars over time, of a history's buckets: by hour and arm, and since midnight."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highwayman.feedback.fold.tallies.history import HistoryBucket

HOUR_S: Final = 3600.0
INTERNAL: Final = "judge and shadow calls"


@dataclass(frozen=True, slots=True)
class SpentSince:
    """What calls cost since a moment, by when they were decided."""

    at: Sequence[float]  # (n,) seconds since the epoch, rising
    usd: Sequence[float]  # (n,) spent by then
    by_arm: Mapping[str, float]  # in all; `INTERNAL` among them where there were such calls


def spent_since(buckets: Iterable[HistoryBucket], begin: float) -> SpentSince:
    """Return what was spent since `begin`; of a bucket that began before it, its part in proportion to time."""
    at, usd, by_arm = [begin], [0.0], defaultdict[str, float](float)
    for bucket in buckets:
        if bucket.begin > at[-1]:  # nothing came in between, and nothing was spent
            at.append(bucket.begin)
            usd.append(usd[-1])
        share = _overlap(bucket, begin, bucket.end)
        for name, dollars in _dollars(bucket).items():
            by_arm[name] += share * dollars
        at.append(bucket.end)
        usd.append(sum(by_arm.values()))
    return SpentSince(at, usd, by_arm)


def by_hour(buckets: Iterable[HistoryBucket], begin: float, end: float) -> tuple[list[float], dict[str, list[float]]]:
    """Return the beginning of each hour between two moments, (n,), and each arm's dollars in it, (n,).

    Moments are seconds since the epoch. A bucket is shared out among its hours in proportion to time.
    """
    hours = [begin + HOUR_S * place for place in range(max(round((end - begin) / HOUR_S), 1))]
    arms: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * len(hours))
    for bucket in buckets:
        dollars = _dollars(bucket)
        for place, hour in enumerate(hours):
            share = _overlap(bucket, hour, hour + HOUR_S)
            if share > 0.0:
                for name, usd in dollars.items():
                    arms[name][place] += share * usd
    return hours, dict(arms)


def _dollars(bucket: HistoryBucket) -> dict[str, float]:
    dollars = {name: sums.cost_usd for name, sums in bucket.arms.items()}
    return {**dollars, INTERNAL: bucket.total.internal_usd} if bucket.total.internal_usd else dollars


def _overlap(bucket: HistoryBucket, begin: float, end: float) -> float:
    """Return which share of a bucket's time lies between two moments."""
    return max(min(bucket.end, end) - max(bucket.begin, begin), 0.0) / (bucket.end - bucket.begin)
