"""What happened over time, as plain data: traffic, rewards with their bands, dollars, feedback, changes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any, Final

from highwayman.feedback.fold.tallies.history import DELAYS_S, ArmSums, History, HistoryBucket, TotalSums
from highwayman.feedback.savings.difference import LEVEL
from highwayman.feedback.savings.reward_band import reward_band
from highwayman.serving.insight.change_words import change_view, is_told_twice

ALL_TENANTS: Final = "*"
_LATER: Final = "later"
_ARM_SUMS: Final = attrgetter(*(field.name for field in fields(ArmSums)))


def history_view(
    history: History, *, tenant: str, since: float, arms: Sequence[str], most: int | None = None
) -> dict[str, Any]:
    """Return what happened since a moment (seconds since the epoch) to a tenant, or to all of them (`*`).

    Bands are of all answers from `since` on that somebody rated: the one beside a bucket, of those up to its end. They
    hold at every look at once, for a `since` that was chosen beforehand. `arms` stand first among the names.
    Of more than `most` buckets, short ones are joined.
    """
    buckets = list(history.buckets(None if tenant == ALL_TENANTS else tenant, since=since))
    buckets = buckets if most is None else joined_buckets(buckets, most)
    by_arm: defaultdict[str, list[ArmSums]] = defaultdict(list)
    shown: list[dict[str, Any]] = []
    so_far: list[ArmSums] = []
    for bucket in buckets:
        so_far += bucket.arms.values()
        for name, sums in bucket.arms.items():
            by_arm[name].append(sums)
        band = reward_band(so_far)
        so_far = [_sum(so_far)]
        shown.append({**_bucket_view(bucket), "reward": asdict(band)})
    return {
        "object": "highwayman.history",
        "tenant": tenant,
        "counted_as": tenant if tenant == ALL_TENANTS else history.counted_as(tenant),
        "begin": buckets[0].begin if buckets else None,
        "end": buckets[-1].end if buckets else None,
        "arms": list(dict.fromkeys((*arms, *by_arm))),
        "level": LEVEL,
        "buckets": shown,
        "reward": asdict(reward_band(so_far)),
        "arm_rewards": {name: asdict(reward_band(parts)) for name, parts in by_arm.items()},
        "feedback": _feedback_view(buckets),
        "changes": [
            change_view(change)
            for change in history.changes
            if change.at >= since
            and tenant in (ALL_TENANTS, change.detail.get("tenant", tenant))
            and not is_told_twice(change)
        ],
    }


def joined_buckets(buckets: Sequence[HistoryBucket], most: int) -> list[HistoryBucket]:
    """Return some `most` buckets, or fewer: neighbours are added until each takes its part of all the time.

    All the time is that in which there were requests: a router's first minutes are no single bucket of its first day.
    """
    least_s = (buckets[-1].end - buckets[0].begin) / most if buckets else 0.0
    joined: list[HistoryBucket] = []
    for bucket in buckets:
        if joined and joined[-1].end - joined[-1].begin < least_s:
            joined[-1] = _joined(joined[-1], bucket)
        else:
            joined.append(bucket)
    return joined


def _joined(before: HistoryBucket, after: HistoryBucket) -> HistoryBucket:
    names = dict.fromkeys([*before.arms, *after.arms])
    none, totals = ArmSums(), (before.total, after.total)
    rated_within = tuple(map(sum, zip(*(total.rated_within for total in totals), strict=True)))
    sums = {name: sum(getattr(total, name) for total in totals) for name in ("decisions", "unlikely", "internal_usd")}
    arms = {name: _sum([before.arms.get(name, none), after.arms.get(name, none)]) for name in names}
    return HistoryBucket(before.begin, after.end, TotalSums(**sums, rated_within=rated_within), arms)


def _sum(parts: Sequence[ArmSums]) -> ArmSums:
    return ArmSums(*map(sum, zip(*map(_ARM_SUMS, parts), strict=True)))


def _bucket_view(bucket: HistoryBucket) -> dict[str, Any]:
    routed = sum(sums.routed for sums in bucket.arms.values())
    return {
        "begin": bucket.begin,
        "end": bucket.end,
        "decisions": bucket.total.decisions,
        "explored": bucket.total.unlikely / routed if routed else None,
        "internal_usd": bucket.total.internal_usd,
        "arms": {name: _arm_view(sums) for name, sums in bucket.arms.items()},
    }


def _arm_view(sums: ArmSums) -> dict[str, Any]:
    return {
        "routed": sums.routed,
        "served": sums.served,
        "failed": sums.failed,
        "cost_usd": sums.cost_usd,
        "latency_s": sums.latency_s / sums.served if sums.served else None,
        "rated": sums.rated,
        "quality": sums.weighted / sums.weight if sums.weight > 0 else None,
    }


def _feedback_view(buckets: Sequence[HistoryBucket]) -> dict[str, Any]:
    served = sum(sums.served for bucket in buckets for sums in bucket.arms.values())
    within = [sum(bucket.total.rated_within[place] for bucket in buckets) for place in range(len(DELAYS_S) + 1)]
    rated = sum(within)
    names = [*(f"{end:g}" for end in DELAYS_S), _LATER]
    return {
        "served": served,
        "rated": rated,
        "coverage": rated / served if served else None,
        "rated_within_s": dict(zip(names, within, strict=True)),
    }
