"""Holds a budget of dollars per request: the more was spent of late, the more it counts against dear arms."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from highwayman.env.cost.objective import POINT, most_where_unknown
from highwayman.env.cost.spend_window import CostOverruns, SpendWindow
from highwayman.env.types import Floats

WINDOW = 500  # calls
_START = 1.0  # quality units per budget: cautious at first, so that no debt is left for later
_MOST = 100.0  # enough to keep every request on the cheapest arm; more would only take longer to forget
_LEAST = 1e-4
_LEAST_ON_DEAREST = 0.002  # quality units that the dearest call carries when there is money to spare
_LEAST_BARRED = 0.02  # the same while an arm is barred: money that bars keep free is not to spare
_SMOOTH_SQUARE = 1.1  # of costs' distances from the target, in targets: above it steps are shortened
_LATE = 0.01  # weight of the last call in their mean
_LUMP = 100.0  # targets that a call counts for in it at most
_OUT_OF_ROOM = 1.0  # quality units that a soft ceiling lays on a call that the window has no room for
_TOLERATED = 0.01  # of a window, that a soft ceiling may be passed by
_SPARE = 1 / 8  # of a window, that may be kept free for longer for one call dearer than any before it
_RESERVES = 1.25  # times what is kept free for one call's overrun, that the price leaves free: so bars seldom bind
_LATE_RESERVE = 0.005  # weight of the last call in the mean of what is kept free
_LEAST_AIM = 0.92  # of the ceiling, however much is kept free for dear calls: less dear ones can fill the rest
_LONGEST_STEP = 50.0  # of log lam: beyond any distance between least and most
_NOT_TOLD_BEFORE = {"squares": 1.0, "overrun_usd": 0.0, "barred": 0.0}  # by states of older releases


class Pacer:
    """Keeps the mean metered cost of a request at or below a ceiling, in every window of calls.

    Balseiro, Lu & Mirrokni, "Dual Mirror Descent for Online Allocation Problems", ICML 2020 (arXiv 2002.10421),
    algorithm 1: lam prices the budget, arm k carries the penalty lam * cost_k / budget (so lam / budget is an exchange
    rate, points per dollar, which adds to the objective's), and after each call lam moves
    against its subgradient, 1 - cost / budget. Balseiro & Gur, "Learning in Repeated Auctions with Budgets", Management
    Science 65(9), 2019, do so additively, lam <- max(0, lam + step * (cost / budget - 1)). Here the mirror
    map is the negative entropy, lam <- lam * exp(step * (cost / budget - 1)): one step then suits arms a factor 100
    apart in cost. Routing breaks two of their assumptions: there is no known horizon, so lam is kept above a least
    value it can soon rise from; and costs are known late and only in expectation beforehand.

    The price holds the mean. With `hard`, arms are barred besides as long as one call to them, at the most it may
    cost, could take a window above the ceiling: all but the cheapest. They are then not eligible, so that exploration
    does not draw them, either. The window starts full: nothing may be spent before it was saved. As bars hold the
    ceiling, steps are the shorter the lumpier costs are, divided by their root mean square as in RMSProp (Tieleman &
    Hinton 2012): one call that costs twenty budgets would else make all but the cheapest too dear for the next twenty.

    What bars keep free for the overrun of one call is never spent. The price aims below it: aimed higher, it would see
    money left for ever, sink to its least, and leave it to the bars who gets it: whoever comes first, not who is worth
    it (a controller's integral winding up against a limit of its actuator). Likewise its least value is
    the larger, the more often an arm is barred.

    Without `hard` nothing is barred. A call carries a unit of quality besides if it is expected to cost more than its
    window has room for, or could take the window more than a percent above the ceiling by the most that calls of its
    price were seen to cost; as long as the ceiling stays what it is (`set_target` moves it).
    """

    def __init__(
        self, budget_usd: float, *, hard: bool = True, step: float = 0.1, margin: float = 0.02, window: int = WINDOW
    ) -> None:
        """Start cautiously, as if what came before had cost what it may.

        Args:
            budget_usd: dollars a request may cost on average: the ceiling.
            hard: whether arms are barred that a window cannot pay for.
            step: change of log lam per budget spent too much; larger holds shorter windows, at the cost of quality.
            margin: share of the budget left unspent on average, so that windows that go over stay under the ceiling.
            window: calls over which the ceiling holds.
        """
        for name, value in (("budget_usd", budget_usd), ("step", step)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        if not 0.0 <= margin < 1.0:
            raise ValueError(f"margin must be in [0, 1), got {margin!r}")
        self.budget_usd = float(budget_usd)
        self.hard = hard
        self._step = step
        self._margin = margin
        self._target_usd = budget_usd * (1.0 - margin)
        self._pressure = _START
        self._dearest_usd = 0.0
        self._squares = 1.0  # mean of late of how far calls' costs are from the target, squared, in targets
        # Means of late: of what calls cost; of that times what is kept free for them.
        self._expected_usd, self._overrun_usd = self.budget_usd, 0.0
        self._bars, self._barred = False, 0.0  # whether an arm was barred just now; share of late of calls when one was
        self._moves = False  # whether the ceiling does
        self._window = SpendWindow(window, self.budget_usd)
        self._overruns = CostOverruns()

    @property
    def pressure(self) -> float:
        """What a call that costs one budget must be better by, in quality units."""
        return self._pressure

    @property
    def points_per_usd(self) -> float:
        """The dual price: how many points of quality a dollar counts beyond what the objective says."""
        return self._pressure / self.budget_usd / POINT

    @property
    def mean_usd(self) -> float:
        """The mean of the window's calls, dollars; those before the first count as the ceiling."""
        return math.fsum(self._window.costs()) / self._window.size

    def set_target(self, budget_usd: float) -> None:
        """Go on with another ceiling; what was learned of the pressure stays."""
        share = self._target_usd / self.budget_usd
        self.budget_usd, self._target_usd, self._moves = budget_usd, budget_usd * share, True

    def penalties(self, expected_usd: Floats) -> Floats:
        """Return what arms of expected cost (..., K) carry in quality units, same shape; NaN: as the dearest."""
        usd = most_where_unknown(expected_usd)
        penalties: Floats = POINT * self.points_per_usd * usd
        if self.hard or self._moves or expected_usd.ndim > 1 or np.isnan(expected_usd).all():
            return penalties
        cheapest_usd = float(np.nanmin(expected_usd))
        room_usd = self._window.headroom_usd(self.budget_usd, cheapest_usd=cheapest_usd)
        too_dear = (usd > room_usd) | (self._overruns.most_met_usd(usd) > room_usd + self._tolerated_usd())
        return penalties + _OUT_OF_ROOM * (too_dear & (usd > cheapest_usd))

    def over_budget(
        self, expected_usd: Floats, most_usd: Floats | None = None, *, under_way: Sequence[float] = ()
    ) -> npt.NDArray[np.bool_]:
        """Return which arms of expected cost (K,) the window has no room for; none unless `hard`.

        The cheapest arm that has a price is never barred, nor are arms without one.

        Args:
            expected_usd: dollars a call to each arm is expected to cost, NaN without a price.
            most_usd: what it can cost at most, (K,), NaN where that is not known: there, as in `upper_bound_usd`.
            under_way: what calls that have not ended may still cost.
        """
        if not self.hard or np.isnan(expected_usd).all():
            return np.zeros(len(expected_usd), dtype=np.bool_)
        cheapest = int(np.nanargmin(expected_usd))
        room_usd = self._window.headroom_usd(
            self.budget_usd, cheapest_usd=float(expected_usd[cheapest]), under_way=under_way
        )
        barred: npt.NDArray[np.bool_] = self.upper_bound_usd(expected_usd, most_usd) > room_usd
        barred[cheapest] = False
        self._bars = bool(barred.any())
        return barred

    def upper_bound_usd(self, expected_usd: Floats, most_usd: Floats | None = None) -> Floats:
        """Return what calls of expected cost (K,) are taken to cost at most, shape (K,); NaN without a price.

        It is `most_usd` where that is known, else what calls of about the price have taught.
        """
        spare_usd = _SPARE * self.budget_usd * self._window.size
        measured_usd = self._overruns.upper_bound_usd(expected_usd, spare_usd=spare_usd)
        return measured_usd if most_usd is None else np.where(np.isnan(most_usd), measured_usd, most_usd)

    def most_met_usd(self, expected_usd: Floats) -> Floats:
        """Return what calls of expected cost (K,) come to at the largest ratio met of about their price, (K,).

        Where none was met, as expected; NaN stays NaN.
        """
        return np.maximum(expected_usd, self._overruns.most_met_usd(expected_usd))

    def charge(self, cost_usd: float | None, expected_usd: float | None = None) -> None:
        """Count a call that ended, at its metered cost; None (no price) counts as free.

        `expected_usd` is what it was expected to cost: from it is learned how much more a call may.

        Raises:
            ValueError: the cost is negative or not finite.
        """
        cost = 0.0 if cost_usd is None else cost_usd
        if not (math.isfinite(cost) and cost >= 0):
            raise ValueError(f"cost_usd must be a number >= 0 or None, got {cost_usd!r}")
        self._window.add(cost)
        self._aim(expected_usd or 0.0)
        self._overruns.add(cost, expected_usd or 0.0)
        self._dearest_usd = max(self._dearest_usd, cost)
        off = cost / self._target_usd - 1.0
        shortened = max(math.sqrt(self._squares / _SMOOTH_SQUARE), 1.0) if self.hard else 1.0
        moved = min(self._step * off / shortened, _LONGEST_STEP)
        self._squares += (min(off, _LUMP) ** 2 - self._squares) * _LATE
        self._barred += (self._bars - self._barred) * _LATE
        self._pressure = min(max(self._pressure * math.exp(moved), self._least()), _MOST)

    def _tolerated_usd(self) -> float:
        return 0.0 if self.hard else _TOLERATED * self.budget_usd * self._window.size

    def _aim(self, expected_usd: float) -> None:
        """Let the price aim below what is kept free for calls such as those that take the money."""
        if self._moves or not (expected_usd > 0 and math.isfinite(expected_usd)):
            return
        most = self.upper_bound_usd if self.hard else self._overruns.most_met_usd
        most_usd = float(most(np.array([expected_usd]))[0])
        overrun_usd = max(most_usd - expected_usd - self._tolerated_usd(), 0.0)
        self._expected_usd += (expected_usd - self._expected_usd) * _LATE_RESERVE
        self._overrun_usd += (expected_usd * overrun_usd - self._overrun_usd) * _LATE_RESERVE
        kept_usd = _RESERVES * self._overrun_usd / self._expected_usd / self._window.size
        self._target_usd = self.budget_usd - max(kept_usd, self._margin * self.budget_usd)
        self._target_usd = max(self._target_usd, _LEAST_AIM * self.budget_usd)

    def _least(self) -> float:
        if not self._dearest_usd:
            return _LEAST
        on_dearest = _LEAST_ON_DEAREST + (_LEAST_BARRED - _LEAST_ON_DEAREST) * self._barred
        return max(on_dearest * min(self.budget_usd / self._dearest_usd, 1.0), _LEAST)

    def state(self) -> dict[str, Any]:
        """Return what was counted, as plain numbers."""
        return {
            "pressure": self._pressure,
            "dearest_usd": self._dearest_usd,
            "squares": self._squares,
            "expected_usd": self._expected_usd,
            "overrun_usd": self._overrun_usd,
            "barred": self._barred,
            "recent_usd": self._window.costs(),
            "overruns": self._overruns.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Replace what was counted by what `state` returned, and return the pacer.

        Raises:
            ValueError: a number is missing, negative or not finite; nothing is changed then.
        """
        state = {**_NOT_TOLD_BEFORE, "expected_usd": self.budget_usd, **state}
        for name in ("pressure", "dearest_usd", "expected_usd", *_NOT_TOLD_BEFORE):
            value = state.get(name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise ValueError(f"pacer state: {name} must be a number >= 0, got {value!r}")
        try:
            recent = [float(cost) for cost in state["recent_usd"]]
            window, overruns = SpendWindow(len(recent), 0.0).restore(recent), CostOverruns().restore(state["overruns"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"pacer state: recent_usd or overruns make no sense: {error}") from error
        self._pressure = min(max(float(state["pressure"]), _LEAST), _MOST)
        self._dearest_usd, self._squares = float(state["dearest_usd"]), float(state["squares"])
        self._expected_usd, self._overrun_usd = float(state["expected_usd"]), float(state["overrun_usd"])
        self._barred = float(state["barred"])
        self._window, self._overruns = window, overruns
        return self
