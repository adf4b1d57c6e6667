"""How many posts a key may send: a bucket of tokens for each."""

from dataclasses import dataclass

_MOST = 10_000  # keys remembered; the least recently used goes first
_BURST_S = 5.0  # a key that was silent may send this many seconds' worth at once


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """Lets through `rate` posts a second of each key, and five seconds' worth at once."""

    def __init__(self, rate_per_s: float | None) -> None:
        """Take the rate of keys that have none of their own; None: as many as come."""
        self._rate = rate_per_s
        self._buckets: dict[str, _Bucket] = {}

    def follow(self, rate_per_s: float | None) -> None:
        """Go on with another rate for keys that have none of their own; what each has left stays."""
        self._rate = rate_per_s

    def wait_s(self, key: str, now: float, *, rate_per_s: float | None = None) -> float:
        """Return 0 if a post of `key` may come in, else after how many seconds one may.

        Args:
            key: its id.
            now: seconds, of a clock; where it is set back, nothing is gained and nothing lost.
            rate_per_s: its own rate; None: the one for all.
        """
        rate = self._rate if rate_per_s is None else rate_per_s
        if rate is None:
            return 0.0
        capacity = max(rate * _BURST_S, 1.0)
        bucket = self._buckets.pop(key, None) or _Bucket(capacity, now)
        bucket.tokens, bucket.at = min(capacity, bucket.tokens + rate * max(now - bucket.at, 0.0)), now
        self._buckets[key] = bucket
        if len(self._buckets) > _MOST:
            self._buckets.pop(next(iter(self._buckets)))
        if bucket.tokens < 1.0:
            return (1.0 - bucket.tokens) / rate
        bucket.tokens -= 1.0
        return 0.0
