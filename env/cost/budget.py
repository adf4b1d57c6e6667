"""A tenant's budget of dollars: per request on average, per day, or both; paced, and held hard where asked."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from highwayman.env.cost.pacer import Pacer
from highwayman.env.cost.spend_ledger import DAY_S, Spend, SpendLedger, day_of
from highwayman.env.types import Floats

_MEMORY_S = 3600.0  # how much of yesterday's rate of requests stands for today's until today has its own
_LEAST_SHARE = 1e-6  # of a day's budget that is aimed at per request, when next to nothing is left


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """What may be spent. Days are UTC's."""

    usd_per_request: float | None = None  # on average
    usd_per_day: float | None = None
    # Arms that could take what was spent today above the day's ceiling are barred, and what a call can cost at most is
    # set aside until it ends, for the mean per request, too.
    hard: bool = False


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """Where a budget stands, as one process knows it; None where there is no such ceiling."""

    today: Spend  # of all processes
    yesterday: Spend
    under_way: int  # calls of this process
    set_aside_usd: float  # for them
    request_points_per_usd: float | None  # what the mean per request adds to an objective's points
    day_points_per_usd: float | None
    mean_usd: float | None  # of this process' last calls
    aim_usd: float | None  # that a request may cost for the day's dollars to last


@dataclass(frozen=True, slots=True)
class _Reserved:
    """Dollars of a call under way."""

    expected_usd: float
    most_usd: float  # that it may still cost


_NOTHING = _Reserved(0.0, 0.0)


class TenantBudget:
    """Prices what is left, and bars what it cannot pay for.

    Both ceilings are held by a `Pacer` each, and an arm carries what both say. The day's pacer aims at what is left,
    spread over the requests still to be expected today at the rate of today and of yesterday. What calls under way are
    expected to cost counts as spent until they end.

    A hard ceiling counts what they can cost at most, and bars every arm whose call, at the most it can cost, does not
    fit in what is left: where that is known of all calls, no day is ever overspent, however many calls there are at
    once. Of a call of which nobody knows it, the day takes the largest ratio of cost to expectation that calls of about
    its price have had; until one was met, the expectation.
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
        self._under_way: dict[str, _Reserved] = {}  # by decision

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

    def over_budget(
        self, expected_usd: Floats, most_usd: Floats | None = None, *, at: float, call: str = ""
    ) -> npt.NDArray[np.bool_]:
        """Return which arms of expected cost (K,) may not be called now.

        The mean per request bars all but the cheapest at most; a hard day bars whatever it cannot pay for.

        Args:
            expected_usd: dollars a call to each arm is expected to cost, NaN without a price.
            most_usd: what it can cost at most, (K,), NaN where that is not known; counts under hard ceilings.
            at: seconds since the epoch.
            call: under way, that another arm is to be asked for: its own reservation is not in its way.
        """
        barred = np.zeros(len(expected_usd), dtype=np.bool_)
        under_way = [reserved.most_usd for name, reserved in self._under_way.items() if name != call]
        if self._per_request is not None:
            known_usd = most_usd if self.limits.hard else None
            barred |= self._per_request.over_budget(expected_usd, known_usd, under_way=under_way)
        if self.limits.hard and self.limits.usd_per_day is not None:
            left_usd = self.limits.usd_per_day - self._ledger.spent(day_of(at)).usd - math.fsum(under_way)
            barred |= self.most_usd(expected_usd, most_usd) > left_usd
        return barred

    def remaining_usd(self, *, at: float) -> float:
        """Return what is left of today's dollars for the next call; infinite without a ceiling.

        Calls under way count as expected; under a hard ceiling, as what they can cost at most.
        """
        if self.limits.usd_per_day is None:
            return math.inf
        under_way_usd = math.fsum(reserved.most_usd for reserved in self._under_way.values())
        return self.limits.usd_per_day - self._ledger.spent(day_of(at)).usd - under_way_usd

    def standing(self, *, at: float) -> BudgetStanding:
        """Return where it stands at a moment, seconds since the epoch."""
        request, day = self._per_request, self._per_day
        return BudgetStanding(
            today=self._ledger.spent(day_of(at)),
            yesterday=self._ledger.spent(day_of(at) - 1),
            under_way=len(self._under_way),
            set_aside_usd=math.fsum(reserved.most_usd for reserved in self._under_way.values()),
            request_points_per_usd=None if request is None else request.points_per_usd,
            day_points_per_usd=None if day is None else day.points_per_usd,
            mean_usd=None if request is None else request.mean_usd,
            aim_usd=None if day is None else self._aim(at),
        )

    def reserve(self, call: str, expected_usd: float, most_usd: float = math.nan) -> None:
        """Set aside what a call that goes out may cost; NaN or 0: it has no price. What it had before is given back.

        `most_usd` is what it can cost at most, NaN where nobody can tell; it counts under hard ceilings.
        """
        expected_usd = expected_usd if expected_usd > 0 else 0.0
        if self.limits.hard:
            most_usd = float(self.most_usd(np.array([expected_usd]), np.array([most_usd]))[0])
        self._under_way[call] = _Reserved(expected_usd, most_usd if self.limits.hard else expected_usd)

    def reserve_for_another(self, call: str, expected_usd: float, most_usd: float = math.nan) -> None:
        """Set aside what a call under way may cost at another arm, and no less than was for it already."""
        before = self._under_way.get(call, _NOTHING)
        self.reserve(call, expected_usd, most_usd)
        after = self._under_way[call]
        self._under_way[call] = replace(after, most_usd=max(before.most_usd, after.most_usd))

    def give_back(self, call: str) -> None:
        """Forget a call that does not go out after all, or that somebody else pays for until it is charged."""
        self._under_way.pop(call, None)

    def charge(self, call: str, cost_usd: float | None, *, at: float, arm: str = "") -> None:
        """Charge a call that ended, at its metered cost, whether or not it ever gets feedback.

        `arm` is who served it.
        """
        expected_usd = self._under_way.pop(call, _NOTHING).expected_usd
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
        # What is set aside beyond what is expected comes back.
        back_usd = math.fsum(reserved.most_usd - reserved.expected_usd for reserved in self._under_way.values())
        return max((self.remaining_usd(at=at) + back_usd) / expected, _LEAST_SHARE * usd)

    def most_usd(self, expected_usd: Floats, most_usd: Floats | None) -> Floats:
        """Return what calls of expected cost (K,) are taken to cost at most, (K,), under a hard ceiling."""
        pacer = self._per_day or self._per_request
        measured_usd = expected_usd if pacer is None else pacer.most_met_usd(expected_usd)
        return measured_usd if most_usd is None else np.where(np.isnan(most_usd), measured_usd, most_usd)


def _pacer(usd: float | None, *, hard: bool) -> Pacer | None:
    return None if usd is None else Pacer(usd, hard=hard)
