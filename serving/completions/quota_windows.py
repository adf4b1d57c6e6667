"""The windows of time that limits count in."""

import datetime
import math
from dataclasses import dataclass
from typing import Final

from highwayman.feedback.log.store import Keys
from highwayman.feedback.trust.quotas import DAY, MINUTE, Quota
from highwayman.feedback.trust.shared_quotas import CALENDAR, SLIDING

_MINUTE_S, _DAY_S = 60.0, 86_400.0
_SLIDING_KEPT_S: Final = int(2 * _MINUTE_S)


@dataclass(frozen=True, slots=True)
class QuotaWindow:
    """A limit's window as it is today."""

    quota: Quota
    owner: str  # whose it is, in words
    key: str
    kind: str
    ends_at: float  # seconds since the epoch; of a sliding one, never
    keep_s: int


def quota_window(quota: Quota, said: str, keys: Keys, owner: str, *, day: int, now: float) -> QuotaWindow:
    """Return the window of a limit on a day, counted from the epoch.

    Args:
        quota: the limit.
        said: whose it is, in words.
        keys: of the namespace.
        owner: whose it is, in the name of its key.
        day: of UTC.
        now: seconds since the epoch.
    """
    name = ("quota", owner, quota.resource, quota.period)
    if quota.period == MINUTE:
        return QuotaWindow(quota, said, keys(*name), SLIDING, math.inf, _SLIDING_KEPT_S)
    today = datetime.datetime.fromtimestamp(day * _DAY_S, datetime.UTC).date()
    if quota.period == DAY:
        begun, ended = today.isoformat(), today + datetime.timedelta(days=1)
    else:
        begun, ended = f"{today:%Y-%m}", (today.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
    ends_at = datetime.datetime.combine(ended, datetime.time(), datetime.UTC).timestamp()
    return QuotaWindow(quota, said, keys(*name, begun), CALENDAR, ends_at, int(ends_at - now + _DAY_S))
