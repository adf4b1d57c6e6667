"""How far a pool's arms lie apart in dollars and energy: what makes points per dollar of a weight between 0 and 1."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from highwayman.env.cost.objective import MOST_POINTS, POINT
from highwayman.env.cost.usage import TokenUse, estimate_call
from highwayman.env.types import Arm, ArmState

REFERENCE_TOKENS = 1_000  # of the prompt of the call that arms are compared by
SLOWER_S = 10.0  # what the slowest arm is taken to need beyond the fastest: a pool file says nothing of seconds
_LEAST_SHARE = 0.5  # of the dearest arm's amount: amounts less than a factor 2 apart are not stretched any further


@dataclass(frozen=True, slots=True)
class PoolSpread:
    """What a call to the dearest arm takes beyond one to the cheapest; None where no arm is known to take anything.

    A weight of 0.15 says that the dearest arm must be 0.15 better than the cheapest to be chosen: 15 points for so many
    dollars, and hence so many points per dollar.
    """

    usd: float | None = None
    wh: float | None = None

    @classmethod
    def of_arms(cls, arms: Iterable[Arm]) -> Self:
        """Return how far arms lie apart on a prompt of 1,000 tokens with an answer of unknown length.

        Draining arms do not count, unless all are.
        """
        pool = tuple(arms)
        serving = [arm for arm in pool if arm.state is not ArmState.DRAINING] or pool
        estimates = [estimate_call(arm, TokenUse(), prompt_tokens=REFERENCE_TOKENS) for arm in serving]
        return cls.of_amounts([estimate.usd for estimate in estimates], [estimate.wh for estimate in estimates])

    @classmethod
    def of_amounts(cls, usd: Iterable[float | None], wh: Iterable[float | None] = ()) -> Self:
        """Return how far amounts lie apart, one an arm; None or NaN: not known."""
        return cls(_spread(usd), _spread(wh))

    def points_per_usd(self, weight: float) -> float:
        """Return what a weight of cost is in points per dollar; 0 where nothing has a price."""
        return _points(weight, self.usd)

    def points_per_s(self, weight: float) -> float:
        """Return what a weight of latency is in points per second."""
        return _points(weight, SLOWER_S)

    def points_per_wh(self, weight: float) -> float:
        """Return what a weight of energy is in points per watt-hour; 0 where nobody knows what an arm takes."""
        return _points(weight, self.wh)


def _spread(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None and not math.isnan(amount)]
    most = max(known, default=0.0)
    return max(most - min(known), most * _LEAST_SHARE) if most > 0 else None


def _points(weight: float, spread: float | None) -> float:
    return min(weight / POINT / spread, MOST_POINTS) if spread else 0.0
