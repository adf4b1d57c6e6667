"""Notices that a key floods, or that what comes with it disagrees with what everybody else says."""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

_MINUTE_S = 60.0
_USUAL_HALF_LIFE_S = 24 * 3600.0
_YOUNG_S = 600.0  # a key that was first heard less long ago has no rate of its own yet
_ENOUGH = 30.0  # thumbs of others on an arm, before anybody is compared with them
_REFERENCE_KEPT = 2_000.0  # thumbs of others that make up an arm's reference at most: it follows what changes
_BETS = (0.25, 0.5, 1.0)


class Why(StrEnum):
    """What was noticed."""

    BURST = "burst"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A key whose statements since a time are not to be trusted without a person's look."""

    key: str
    why: Why
    since: float  # seconds since the epoch
    detail: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When the alarm goes off."""

    burst_floor: float = 60.0  # statements a minute that are never a burst
    burst_factor: float = 10.0  # times the usual of the key, or of its tenant's busiest other key while it is young
    burst_young: float = 600.0  # a minute, of a young key that is its tenant's only one
    tolerance: float = 0.25  # in quality: what a key's people may be pickier, or kinder, than others
    false_alarms: float = 1e-5  # chance that an honest key within the tolerance is ever taken for shifted


@dataclass(slots=True)
class _Key:
    """What is known of one key."""

    tenant: str
    since: float
    recent: deque[float] = field(default_factory=deque)  # of the last minute
    counted: float = 0.0  # statements, decayed
    at: float = 0.0  # of the decay
    kinder: list[float] = field(default_factory=lambda: [1.0] * len(_BETS))
    harsher: list[float] = field(default_factory=lambda: [1.0] * len(_BETS))
    bets_since: float = 0.0
    suspected: bool = False

    def usual(self, now: float) -> float:
        """Return how many statements a minute are usual."""
        age_s = max(now - self.since, _MINUTE_S)
        window_s = _USUAL_HALF_LIFE_S / math.log(2) * -math.expm1(-age_s * math.log(2) / _USUAL_HALF_LIFE_S)
        return self.counted * _MINUTE_S / window_s

    def count(self, at: float) -> None:
        self.counted = self.counted * 0.5 ** (max(at - self.at, 0.0) / _USUAL_HALF_LIFE_S) + 1.0
        self.at = max(self.at, at)
        self.recent.append(at)
        while self.recent and self.recent[0] <= at - _MINUTE_S:
            self.recent.popleft()


@dataclass(slots=True)
class _Reference:
    """What a key's statements on an arm add up to."""

    weight: float = 0.0
    total: float = 0.0

    def add(self, quality: float) -> None:
        keep = min(1.0, (_REFERENCE_KEPT - 1.0) / max(self.weight, 1.0))
        self.weight, self.total = self.weight * keep + 1.0, self.total * keep + quality


class Alarm:
    """Hears every statement that came with a key, in the order of the log.

    A burst is more in a minute than the key ever had use for. A shift is a test by betting (Waudby-Smith & Ramdas,
    "Estimating means of bounded random variables by betting", JRSS-B 2024): capital that grows only if the mean of what
    the key says of an arm's answers is further than the tolerance from what the tenant's other keys say of that arm at
    the same time; Ville's inequality bounds how often it ever exceeds its limit. The others' running mean is taken for
    known, so the bound holds once they have said much. A key that is alone with its tenant is never taken for shifted:
    nothing tells it from a model that changed.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        """Take when to go off."""
        self._when = thresholds or Thresholds()
        self._keys: dict[str, _Key] = {}
        self._said: dict[tuple[str, str], dict[str, _Reference]] = {}  # by tenant and arm, then by key

    def heard(self, key: str, *, tenant: str, arm: str, quality: float | None, at: float) -> Suspicion | None:
        """Hear one statement; return what is to be suspected from now on, each key once until it is cleared.

        Args:
            key: its id.
            tenant: whose key it is.
            arm: whose answer is spoken of.
            quality: what is said of it, in [0, 1]; None: nothing.
            at: when it was accepted, seconds since the epoch.
        """
        known = self._keys.setdefault(key, _Key(tenant, at, at=at, bets_since=at))
        if known.suspected:
            return None
        limit = self._limit(key, known, at)
        known.count(at)
        found = None
        if len(known.recent) > limit:
            detail = f"{len(known.recent)} statements in a minute, where {limit:.0f} would be much"
            found = Suspicion(key, Why.BURST, known.recent[0], detail)
        elif quality is not None:
            found = self._compared(key, known, arm, quality)
        if found is None and quality is not None:
            self._said.setdefault((tenant, arm), {}).setdefault(key, _Reference()).add(quality)
        known.suspected = found is not None
        return found

    def clear(self, key: str) -> None:
        """Trust a key again, as if it were new."""
        self._keys.pop(key, None)

    def _limit(self, key: str, known: _Key, at: float) -> float:
        """Return how many statements in a minute are not yet a burst."""
        when = self._when
        if at - known.since >= _YOUNG_S:
            return max(when.burst_floor, when.burst_factor * known.usual(at))
        others = [one.usual(at) for name, one in self._keys.items() if name != key and one.tenant == known.tenant]
        return max(when.burst_floor, when.burst_factor * max(others)) if others else when.burst_young

    def _compared(self, key: str, known: _Key, arm: str, quality: float) -> Suspicion | None:
        others = [one for name, one in self._said.get((known.tenant, arm), {}).items() if name != key]
        weight = sum(one.weight for one in others)
        if weight < _ENOUGH:
            return None
        usual, slack = sum(one.total for one in others) / weight, self._when.tolerance
        for place, bet in enumerate(_BETS):
            known.kinder[place] *= max(1.0 + bet * (quality - usual - slack), 1e-9)
            known.harsher[place] *= max(1.0 + bet * (usual - quality - slack), 1e-9)
        capital = max(sum(known.kinder), sum(known.harsher)) / len(_BETS)
        if capital < 2.0 / self._when.false_alarms:
            return None
        detail = f"its thumbs on {arm} are far from the others' mean of {usual:.2f}"
        return Suspicion(key, Why.SHIFT, known.bets_since, detail)
