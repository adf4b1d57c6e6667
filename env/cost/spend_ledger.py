"""What was spent by day and by arm: by all processes as far as that is published, and by this one since."""

from collections import defaultdict, deque
from collections.abc import Mapping
from types import MappingProxyType

from highwayman.env.quick_dataclass import quick_dataclass

DAY_S = 86_400.0

LogPosition = tuple[int, int]  # of an event on the log: places sort as events do


def day_of(at: float) -> int:
    """Return the day of UTC that `at` (seconds since the epoch) lies in, counted from the epoch."""
    return int(at // DAY_S)


@quick_dataclass(frozen=True, slots=True)
class Spend:
    """What ended calls came to."""

    usd: float = 0.0
    calls: int = 0

    def plus(self, usd: float, calls: int) -> "Spend":
        """Return the sum."""
        return Spend(self.usd + usd, self.calls + calls)


NO_SPEND = Spend()


@quick_dataclass(frozen=True, slots=True)
class _Charge:
    """Calls of one arm on one day that are counted here, and not yet by what is published."""

    day: int
    arm: str
    usd: float
    calls: int = 1


class SpendLedger:
    """Counts every call once: here until the published sums have it, by them from then on.

    The published sums are a fold of the log up to a place. A call of this process is in them if its outcome stands at
    that place or before it. One that was spooled while the log was away has a place nobody told; it was written before
    the spool was seen empty, and before the next one that went to the log directly, so it counts as published when the
    last of the spool is, or that one.
    """

    def __init__(self) -> None:
        """Start with nothing spent by anybody."""
        self._published: Mapping[int, Spend] = MappingProxyType({})
        self._ended: dict[str, _Charge] = {}  # by call: not known to be written
        self._spooled: dict[tuple[int, str], _Charge] = {}  # by day and arm: as many as an outage is long
        self._written: deque[tuple[LogPosition, _Charge]] = deque()
        # Of all these: by day, and by arm.
        self._own_day_usd: defaultdict[int, float] = defaultdict(float)
        self._own_day_calls: defaultdict[int, int] = defaultdict(int)
        self._own_usd: defaultdict[str, float] = defaultdict(float)

    def charge(self, call: str, usd: float, *, arm: str, at: float) -> None:
        """Count a call that ended at `at`, seconds since the epoch."""
        self._ended[call] = charge = _Charge(day_of(at), arm, usd)
        self._add(charge, 1)

    def on_logged(self, call: str, options: LogPosition | None) -> None:
        """Note where on the log a call's outcome stands; None: it waits in the spool. Others' calls are ignored."""
        charge = self._ended.pop(call, None)
        if charge is None:
            return
        if options is None:
            before = self._spooled.get((charge.day, charge.arm), _Charge(charge.day, charge.arm, 0.0, 0))
            both = _Charge(charge.day, charge.arm, before.usd + charge.usd, before.calls + charge.calls)
            self._spooled[charge.day, charge.arm] = both
            return
        if self._spooled:
            self.on_drained(options)
        self._written.append((options, charge))

    def on_drained(self, upto: LogPosition) -> None:
        """Note that all that waited in the spool stands on the log, at this place or before it."""
        self._written += [(upto, paid) for paid in self._spooled.values()]
        self._spooled.clear()

    def on_published(self, upto: LogPosition, by_day: Mapping[int, Spend]) -> None:
        """Take what all processes have spent by day, calls at `upto` on the log and before it counted."""
        while self._written and self._written[0][0] <= upto:
            self._add(self._written.popleft()[1], -1)
        if not (self._written or self._spooled or self._ended):
            for own in (self._own_day_usd, self._own_day_calls, self._own_usd):
                own.clear()  # what is left of taking away what was added
        self._published = by_day

    def spent(self, day: int) -> Spend:
        """Return what all processes have spent on a day, as far as this one knows."""
        published = self._published.get(day, NO_SPEND)
        return published.plus(self._own_day_usd.get(day, 0.0), self._own_day_calls.get(day, 0))

    def unpublished_usd(self, arm: str) -> float:
        """Return what this process spent on an arm beyond what is published."""
        return self._own_usd.get(arm, 0.0)

    def _add(self, charge: _Charge, sign: int) -> None:
        usd = sign * charge.usd
        self._own_day_usd[charge.day] += usd
        self._own_day_calls[charge.day] += sign * charge.calls
        self._own_usd[charge.arm] += usd
