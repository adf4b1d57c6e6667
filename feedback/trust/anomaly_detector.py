"""Notices that a key floods, or that its feedback disagrees with everybody else's."""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import StrEnum

_MINUTE_S = 60.0
_USUAL_HALF_LIFE_S = 24 * 3600.0
_SILENCE_S = 3600.0  # a longer one passes for this: after a holiday a key may do what it did before
_YOUNG_S = 600.0  # a key that was in use for less has no rate of its own yet
_ENOUGH = 30.0  # statements, or comparisons, before anybody is taken to have a past
_PAST_KEPT = 2_000.0  # comparisons that make up a past at most: it follows what changes
_TOGETHER = 8  # others that a key is compared with at a time
_BETS = (0.2, 0.45, 0.9)  # of the largest there may be: small ones find small lies, large ones large lies soon


class AnomalyKind(StrEnum):
    """What was noticed."""

    BURST = "burst"
    SHIFT = "shift"


@dataclass(frozen=True, slots=True)
class SuspectedKey:
    """A key whose statements since a time are not to be trusted without a person's look."""

    key: str
    why: AnomalyKind
    since: float  # seconds since the epoch
    detail: str


@dataclass(frozen=True, slots=True)
class AnomalyThresholds:
    """When a key is suspected."""

    burst_floor: float = 60.0  # statements a minute that are never a burst
    burst_factor: float = 10.0  # times the usual of the key, or of its tenant's busiest other key while it is young
    burst_young: float = 600.0  # a minute, of a young key that is its tenant's only one
    tolerance: float = 0.25  # in quality: what a key's people may be pickier, or kinder, than others
    false_alarms: float = 1e-6  # at most so many per comparison of an honest key, within the tolerance, on an arm


@dataclass(slots=True)
class _KeyRate:
    """How many statements come with a key, by the time in which it was in use."""

    at: float
    used_s: float = 0.0
    counted: float = 0.0  # statements, faded
    vouched: bool = False  # a person has looked at it
    recent: deque[float] = field(default_factory=deque)  # when, of the last minute's

    def usual(self) -> float:
        """Return how many statements a minute are usual."""
        fading = math.log(2) / _USUAL_HALF_LIFE_S
        window_s = -math.expm1(-max(self.used_s, _MINUTE_S) * fading) / fading
        return self.counted * _MINUTE_S / window_s

    def count(self, at: float) -> None:
        passed_s = min(max(at - self.at, 0.0), _SILENCE_S)
        self.used_s += passed_s
        self.counted = self.counted * 0.5 ** (passed_s / _USUAL_HALF_LIFE_S) + 1.0
        self.at = max(self.at, at)
        self.recent.append(at)
        while self.recent[0] <= at - _MINUTE_S:
            self.recent.popleft()


@dataclass(slots=True)
class _Means:
    """Mean qualities, the key's and the others', over comparisons."""

    weight: float = 0.0
    own: float = 0.0
    others: float = 0.0

    def add(self, weight: float, own: float, others: float) -> None:
        self.weight = min(self.weight + weight, _PAST_KEPT)
        step = min(weight / self.weight, 1.0)
        self.own += step * (own - self.own)
        self.others += step * (others - self.others)


@dataclass(slots=True)
class _DirectionalBet:
    """Bets that a key is kinder to an arm than others are (direction 1), or harsher (-1)."""

    direction: int
    capital: list[float] = field(default_factory=lambda: [1.0] * len(_BETS))
    past: _Means = field(default_factory=_Means)
    stretch: _Means = field(default_factory=_Means)  # since the bets were last worth no more than at the start
    since: float = 0.0  # seconds since the epoch, of the stretch

    def settle(self, own: float, others: float, *, since: float, usual: float, slack: float) -> float:
        """Settle one comparison's bets; return what they have come to on average."""
        gain, worst = self.direction * (own - others - usual) - slack, 1.0 + abs(usual) + slack
        self.capital = [
            max(wealth, 1.0) * (1.0 + bet / worst * gain) for bet, wealth in zip(_BETS, self.capital, strict=True)
        ]
        if not self.stretch.weight:
            self.since = since
        self.stretch.add(1.0, own, others)
        if max(self.capital) <= 1.0:
            self.start(keep=True)
        return sum(self.capital) / len(_BETS)

    def verdict(self, usual: float, *, suspect: bool, tolerance: float) -> bool:
        """Return whether it is the key that has come apart from the others, and not they from it; if not, start anew.

        Where they never agreed, a `suspect` is taken to be it, if it is far enough away from them.
        """
        past, now, agreed = self.past, self.stretch, False
        if past.weight >= _ENOUGH:
            agreed = self.direction * (past.own - past.others - usual) <= tolerance
        moved, others_moved = self.direction * (now.own - past.own), self.direction * (past.others - now.others)
        if agreed:
            guilty = moved >= max(others_moved, tolerance / 2.0)
        else:
            guilty = suspect and self.direction * (now.own - now.others - usual) >= 2.0 * tolerance
        if not guilty:
            self.start(keep=not (agreed and others_moved > moved))
        return guilty

    def start(self, *, keep: bool) -> None:
        """Begin to bet anew; the stretch is part of the past from now on, or left out of it."""
        if keep:
            self.past.add(self.stretch.weight, self.stretch.own, self.stretch.others)
        self.capital, self.stretch = [1.0] * len(_BETS), _Means()


@dataclass(slots=True)
class _KeyVersusOthers:
    """A key's feedback on an arm, beside that of other keys."""

    newcomer: bool  # others had rated the arm often enough before the key's first statement
    seen: int  # statements on the arm up to the last comparison
    waiting: int = 0  # statements since then
    total: float = 0.0  # of their qualities
    since: float = 0.0  # of the first of them, seconds since the epoch
    usual: float = 0.0  # what a person has let pass as the key's own difference
    sides: tuple[_DirectionalBet, _DirectionalBet] = field(
        default_factory=lambda: (_DirectionalBet(1), _DirectionalBet(-1))
    )

    def wait(self, quality: float, at: float) -> None:
        self.since = self.since if self.waiting else at
        self.waiting, self.total = self.waiting + 1, self.total + quality

    def compared(self, others: float, *, several: bool, when: AnomalyThresholds) -> _DirectionalBet | None:
        """Compare what waits with the others' mean, settle the bets; return the side that has won against the key."""
        own, self.waiting, self.total = self.total / self.waiting, 0, 0.0
        lost = None
        for side in self.sides:
            won = side.settle(own, others, since=self.since, usual=self.usual, slack=when.tolerance)
            suspect = self.newcomer or several  # of two that disagree from the start, the liar may be either
            if won >= 2.0 / when.false_alarms and side.verdict(  # in each of two directions
                self.usual, suspect=suspect, tolerance=when.tolerance
            ):
                lost = side
        return lost


@dataclass(slots=True)
class _Arm:
    """The last feedback on an arm, by key, the latest at the end."""

    count: int = 0
    last: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def others(self, key: str, after: int) -> list[float]:
        """Return the last quality from other keys, of each that came after so many statements; the latest few."""
        qualities: list[float] = []
        for name, (number, quality) in reversed(self.last.items()):
            if number <= after or len(qualities) == _TOGETHER:
                break
            if name != key:
                qualities.append(quality)
        return qualities

    def add(self, key: str, quality: float) -> None:
        self.count += 1
        self.last[key] = (self.count, quality)
        self.last.move_to_end(key)


@dataclass(slots=True)
class _Key:
    """What is known of one key."""

    tenant: str
    pace: _KeyRate
    beside: dict[str, _KeyVersusOthers] = field(default_factory=dict)  # by arm
    shifted: tuple[_KeyVersusOthers, _DirectionalBet] | None = None  # where it was found to be
    suspected: bool = False


class AnomalyDetector:
    """Observes every statement that came with a key, in the order of the log.

    A burst is more in a minute than ten times what the key usually sends in the time it is in use, and more than
    anybody may send. Poisson traffic of m a minute is beyond a limit l > m with a chance of at most
    exp(l - m - l log(l / m)) in any one minute (Chernoff): for a key that does three times its usual u, exp(-5 u), and
    u is at least 6 where the limit is more than the floor.

    A shift is found by an e-detector (Shin, Ramdas & Rinaldo, 2022, arXiv 2203.03532; bandit/drift/change_detector.py
    has its equation), here on differences in [-1, 1]. Each time that others have spoken of an arm since the key last
    did, its feedback meanwhile is compared with the last of these others', each of which is used once: so a
    model that changes for everybody is nobody's shift, whoever speaks most of it. The rate of false alarms takes the
    statements compared to be of the arm in one state, which holds but for the comparison during which it changes; and
    keys whose people ask the same kind of thing, or differ by no more than the tolerance.

    Of two that have come apart, the one is suspected that has moved away from its past. Where they never agreed, it
    must be a newcomer or differ from several others, and by twice the tolerance. So a liar hardly ever gets honest keys
    suspected; and a key that is alone with its tenant is never taken for shifted: nothing tells it from a model that
    changed. Memory grows with keys times arms, no more.
    """

    def __init__(self, thresholds: AnomalyThresholds | None = None) -> None:
        """Take the thresholds."""
        self._when = thresholds or AnomalyThresholds()
        self._keys: dict[str, _Key] = {}
        self._arms: dict[tuple[str, str], _Arm] = {}  # by tenant and name

    def observe(self, key: str, *, tenant: str, arm: str, quality: float | None, at: float) -> SuspectedKey | None:
        """Observe one statement; return what is to be suspected from now on, each key once until it is cleared.

        Args:
            key: its id.
            tenant: whose key it is.
            arm: whose answer is spoken of.
            quality: that it was given, in [0, 1]; None: none.
            at: when it was accepted, seconds since the epoch.
        """
        history = self._keys.get(key)
        if history is None:
            history = self._keys[key] = _Key(tenant, _KeyRate(at))
        if history.suspected:
            return None
        suspect = self._burst(key, history, at)
        if suspect is None and quality is not None:
            suspect = self._shift(key, history, arm=arm, quality=quality, at=at)
        history.suspected = suspect is not None
        return suspect

    def clear(self, key: str) -> None:
        """Trust a key again, as if it were new; in what it was found to differ from others, it may go on to differ."""
        history = self._keys.get(key)
        if history is None:
            return
        if history.shifted is not None:
            beside, side = history.shifted
            beside.usual = side.stretch.own - side.stretch.others
        for comparison in history.beside.values():
            comparison.sides, comparison.waiting, comparison.total = (_DirectionalBet(1), _DirectionalBet(-1)), 0, 0.0
        history.pace, history.shifted, history.suspected = _KeyRate(history.pace.at, vouched=True), None, False

    def _burst(self, key: str, history: _Key, at: float) -> SuspectedKey | None:
        limit = self._limit(key, history)
        history.pace.count(at)
        recent = history.pace.recent
        if len(recent) <= limit:
            return None
        detail = f"{len(recent)} statements in a minute, where {limit:.0f} would be much"
        return SuspectedKey(key, AnomalyKind.BURST, recent[0], detail)

    def _limit(self, key: str, history: _Key) -> float:
        """Return how many statements in a minute are not yet a burst."""
        when = self._when
        if history.pace.used_s >= _YOUNG_S:
            return max(when.burst_floor, when.burst_factor * history.pace.usual())
        if history.pace.vouched:
            return when.burst_young
        others = [
            other.pace.usual()
            for name, other in self._keys.items()
            if name != key and other.tenant == history.tenant and not other.suspected
        ]
        return max(when.burst_floor, when.burst_factor * max(others)) if others else when.burst_young

    def _shift(self, key: str, history: _Key, *, arm: str, quality: float, at: float) -> SuspectedKey | None:
        place = self._arms.setdefault((history.tenant, arm), _Arm())
        beside = history.beside.get(arm)
        if beside is None:
            beside = history.beside[arm] = _KeyVersusOthers(newcomer=place.count >= _ENOUGH, seen=place.count)
        beside.wait(quality, at)
        others = place.others(key, beside.seen)
        place.add(key, quality)
        if not others:
            return None
        beside.seen = place.count
        side = beside.compared(sum(others) / len(others), several=len(others) > 1, when=self._when)
        if side is None:
            return None
        history.shifted, now = (beside, side), side.stretch
        detail = f"what it says of {arm} is worth {now.own:.2f} on average, where others say {now.others:.2f}"
        return SuspectedKey(key, AnomalyKind.SHIFT, side.since, detail)
