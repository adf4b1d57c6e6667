"""A tenant's budget of dollars: per request on average, per day, or both; paced, and held hard where asked."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from highwayman.env.cost.pacer import Pacer
from highwayman.env.cost.spend_ledger import DAY_S, SpendLedger, day_of
from highwayman.env.types import Floats

_MEMORY_S = 3600.0  # how much of yesterday's rate of requests stands for today's until today has its own
_LEAST_SHARE = 1e-6  # of a day's budget that is aimed at per request, when next to nothing is left


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """What may be spent. Days are UTC's."""

    usd_per_request: float | None = None  # on average
    usd_per_day: float | None = None
    hard: bool = False  # arms that would take what was spent today above the day's ceiling are barred


class TenantBudget:
    """Prices what is left, and bars what it cannot pay for.

    Both ceilings are held by a `Pacer` each, and an arm carries what both say. The day's pacer aims at what is left,
    spread over the requests still to be expected today at the rate of today and of yesterday. What calls under way are
    expected to cost counts as spent until they end, so a hard ceiling holds however many there are, but for what calls
    cost beyond what was expected of them.
    """

    def __init__(self, limits: SpendLimits, ledger: SpendLedger | None = None) -> None:
        """Take the ceilings, and the ledger of what was spent, which may be others' money too; None: a new one.

        Raises:
            ValueError: a ceiling is no number > 0.
        """
        self.limits = limits
        self._ledger = SpendLedger() if ledger is None else ledger
        self._per_request = _pacer(limits.usd_per_request, hard=True)
        self._per_day = _pacer(limits.usd_per_day, hard=False)
        self._under_way: dict[str, float] = {}  # expected dollars by decision

    def follow(self, limits: SpendLimits) -> None:
        """Go on with other ceilings; what was spent, and what calls under way are expected to cost, stays."""
        if limits.usd_per_request != self.limits.usd_per_request:
            self._per_request = _pacer(limits.usd_per_request, hard=True)
        if limits.usd_per_day != self.limits.usd_per_day:
            self._per_day = _pacer(limits.usd_per_day, hard=False)
        self.limits = limits

    def penalties(self, expected_usd: Floats, *, at: float) -> Floats:
        """Return what arms of expected cost (K,) carry in quality units, shape (K,); NaN: as dear as the dearest."""
        penalties = np.zeros(len(expected_usd))
        if self._per_request is not None:
            penalties += self._per_request.penalties(expected_usd)
        if self._per_day is not None:
            self._per_day.set_target(self._aim(at))
            penalties += self._per_day.penalties(expected_usd)
        return penalties

    def over_budget(self, expected_usd: Floats, *, at: float) -> npt.NDArray[np.bool_]:
        """Return which arms of expected cost (K,) may not be called now.

        The mean per request bars all but the cheapest at most; a hard day bars whatever it cannot pay for.
        """
        barred = np.zeros(len(expected_usd), dtype=np.bool_)
        if self._per_request is not None:
            barred |= self._per_request.over_budget(expected_usd, under_way=tuple(self._under_way.values()))
        if self.limits.hard and self.limits.usd_per_day is not None:
            barred |= expected_usd > self.remaining_usd(at=at)
        return barred

    def remaining_usd(self, *, at: float) -> float:
        """Return what is left of today's dollars, calls under way counted as expected; infinite without a ceiling."""
        if self.limits.usd_per_day is None:
            return math.inf
        return self.limits.usd_per_day - self._ledger.spent(day_of(at)).usd - math.fsum(self._under_way.values())

    def reserve(self, call: str, expected_usd: float) -> None:
        """Count a call that goes out; NaN or 0: it has no price."""
        self._under_way[call] = expected_usd if expected_usd > 0 else 0.0

    def release(self, call: str) -> None:
        """Count a call no more that went out: somebody else pays for it until it is charged."""
        self._under_way.pop(call, None)

    def charge(self, call: str, cost_usd: float | None, *, at: float, arm: str = "") -> None:
        """Charge a call that ended, at its metered cost, whether or not it ever gets feedback.

        `arm` is who served it.
        """
        expected_usd = self._under_way.pop(call, 0.0)
        self._ledger.charge(call, cost_usd or 0.0, arm=arm, at=at)
        for pacer in (self._per_request, self._per_day):
            if pacer is not None:
                pacer.charge(cost_usd, expected_usd)

    def _aim(self, at: float) -> float:
        """Return the dollars that a request may cost for the day's budget to last."""
        usd, day = self.limits.usd_per_day or 0.0, day_of(at)
        passed = at - day * DAY_S
        requests = self._ledger.spent(day).calls + len(self._under_way) + 1
        before = self._ledger.spent(day - 1).calls / DAY_S  # a second
        rate = (requests + before * _MEMORY_S) / (passed + _MEMORY_S if before else max(passed, 60.0))
        expected = max(rate * (DAY_S - passed), 1.0)
        return max(self.remaining_usd(at=at) / expected, _LEAST_SHARE * usd)


def _pacer(usd: float | None, *, hard: bool) -> Pacer | None:
    return None if usd is None else Pacer(usd, hard=hard)
