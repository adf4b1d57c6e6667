"""What the last calls cost, and how much more than expected one may: what a window of calls has room for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from highwayman.env.types import Floats

_SURPRISES = 3.0  # standard deviations that the cheapest arm's costs are allowed for
_AT_FIRST = 12.0  # times its expectation that a call is taken to cost at most
_KNOWN_CALLS = 200  # from so many on, what was met bounds what may come
_BEYOND = 3.0  # times the largest ratio met, that a call is then taken to cost at most; it nears 1 with more calls
_SPARED_CALLS = 2500  # known, until which money to spare is kept for what was not met; from then on less, in proportion


class SpendWindow:
    """The dollars of the last calls, as many as the window is long."""

    def __init__(self, size: int, usual_usd: float) -> None:
        """Begin as if every call before the first had cost `usual_usd`. Raises ValueError for a size below 2."""
        if size < 2:
            raise ValueError(f"window must be >= 2, got {size!r}")
        self._costs = np.full(size, usual_usd)  # a ring, the oldest at `_next`
        self._next = 0
        self._steps = np.arange(size)
        self._surprise = _SURPRISES * np.sqrt(self._steps)

    @property
    def size(self) -> int:
        """How many calls it is long."""
        return len(self._costs)

    def add(self, cost_usd: float) -> None:
        """Take in what a call cost; the oldest is forgotten."""
        self._costs[self._next] = cost_usd
        self._next = (self._next + 1) % len(self._costs)

    def headroom_usd(self, mean_usd: float, *, cheapest_usd: float, under_way: Sequence[float] = ()) -> float:
        """Return what the next call may cost for this window and all to come to keep a mean of `mean_usd`.

        All to come: those in which the call still lies, if after it there is none but to the cheapest arm. What such
        calls cost is known by its mean alone; its deviation is taken to be as large, as is usual for token counts.

        Args:
            mean_usd: dollars a call may cost on average over a window.
            cheapest_usd: expected cost of the cheapest arm.
            under_way: expected costs of calls that have not ended.
        """
        size, ahead = len(self._costs), min(len(under_way), len(self._costs) - 2)
        latest_first = np.concatenate([self._costs[: self._next][::-1], self._costs[self._next :][::-1]])
        kept = np.cumsum(latest_first[: size - 1 - ahead])[::-1]  # by how many of the oldest have left the window
        later = len(kept)
        to_come = cheapest_usd * (self._steps[:later] + self._surprise[:later])
        return float(mean_usd * size - (kept + to_come).max()) - math.fsum(under_way)

    def costs(self) -> list[float]:
        """Return the costs, oldest first."""
        return [*self._costs[self._next :].tolist(), *self._costs[: self._next].tolist()]

    def restore(self, costs: Iterable[float]) -> Self:
        """Replace the costs, oldest first, and return the window. Raises ValueError if they are not so many costs."""
        ring = np.array(list(costs), dtype=np.float64)
        if ring.shape != self._costs.shape or not (np.isfinite(ring).all() and ring.min() >= 0):
            raise ValueError(f"a window of {len(self._costs)} calls needs as many costs >= 0, got {len(ring)}")
        self._costs, self._next = ring, 0
        return self


class CostOverruns:
    """How many times its expectation a call may cost, by what it was expected to cost, in steps of a factor 2.

    No distribution is assumed, nor would an estimated quantile do where no window may go over: it is the largest ratio
    that was met by calls of about the price, and three times that, up to twelve, for what was not met yet; less, the
    more calls there were. Of n calls the dearest comes last with probability 1 / n, whatever their distribution, so
    little more than was met is too little for long: out of money to spare all of that is kept for longer. One call
    beyond it is unforeseeable: only what is known to bound a call, such as a limit on tokens, makes a promise.
    """

    def __init__(self) -> None:
        """Start with nothing met."""
        self._met: dict[int, tuple[int, float]] = {}  # calls and their largest ratio, by the power of 2 below

    def add(self, cost_usd: float, expected_usd: float) -> None:
        """Take in what a call cost and was expected to; without an expectation > 0 there is nothing to compare."""
        if expected_usd > 0 and math.isfinite(expected_usd):
            step = _power(expected_usd)
            calls, largest = self._met.get(step, (0, 1.0))
            self._met[step] = calls + 1, max(largest, cost_usd / expected_usd)

    def upper_bound_usd(self, expected_usd: Floats, *, spare_usd: float = 0.0) -> Floats:
        """Return what calls of expected cost (K,) are taken to cost at most, shape (K,); NaN stays NaN.

        `spare_usd` may be kept free for what was not met yet, beyond what is kept anyway.
        """
        return np.array([self._most_usd(usd, spare_usd) if usd > 0 else usd for usd in expected_usd.tolist()])

    def most_met_usd(self, expected_usd: Floats) -> Floats:
        """Return what calls of expected cost (K,) come to at the largest ratio met, shape (K,); 0 where none was."""
        return np.array([usd * self._met_ratio(usd) if usd > 0 else 0.0 for usd in expected_usd.tolist()])

    def _met_ratio(self, expected_usd: float) -> float:
        calls, largest = self._met_by(expected_usd)
        return largest if calls else 0.0

    def _met_by(self, expected_usd: float) -> tuple[int, float]:
        """Return how many calls of about a price were met, and their largest ratio."""
        power = _power(expected_usd)
        met = [self._met.get(step, (0, 1.0)) for step in (power - 1, power, power + 1)]
        return sum(calls for calls, _ in met), max(largest for _, largest in met)

    def _most_usd(self, expected_usd: float, spare_usd: float) -> float:
        calls, largest = self._met_by(expected_usd)
        if calls < _KNOWN_CALLS:
            return expected_usd * max(largest, _AT_FIRST)
        beyond = 1.0 + (_BEYOND - 1.0) * _KNOWN_CALLS / calls
        usual = max(largest, min(beyond * largest, _AT_FIRST))
        spared_usd = min(expected_usd * min(_BEYOND * largest, _AT_FIRST), spare_usd * min(_SPARED_CALLS / calls, 1.0))
        return max(expected_usd * usual, spared_usd)

    def state(self) -> dict[str, list[float]]:
        """Return what was met, as plain numbers."""
        return {str(step): [calls, largest] for step, (calls, largest) in self._met.items()}

    def restore(self, state: Mapping[str, Any]) -> Self:
        """Replace what was met by what `state` returned, and return it. Raises ValueError if it makes no sense."""
        met = {int(step): (int(calls), float(largest)) for step, (calls, largest) in state.items()}
        if not all(calls >= 0 and math.isfinite(largest) and largest >= 1 for calls, largest in met.values()):
            raise ValueError("calls must be >= 0 and their largest ratio a number >= 1")
        self._met = met
        return self


def _power(usd: float) -> int:
    return math.frexp(usd)[1]
