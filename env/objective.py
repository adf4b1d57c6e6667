"""From dollars to quality units: what an arm must be better by to be worth its price."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from highwayman.env.types import Floats

AUTO = "auto"
_LEAST_RATIO = 2.0  # costs closer together than this are not stretched to the full scale


@dataclass(frozen=True, slots=True)
class Objective:
    """How much a caller minds cost: the dearest arm of the pool must be `cost_weight` better than the cheapest."""

    name: str
    cost_weight: float

    def __post_init__(self) -> None:
        """Raise ValueError for a weight that is no number >= 0."""
        if not (math.isfinite(self.cost_weight) and self.cost_weight >= 0):
            raise ValueError(f"cost_weight must be a number >= 0, got {self.cost_weight!r}")


ALIASES: Mapping[str, Objective] = MappingProxyType(
    {
        AUTO: Objective(AUTO, 0.15),
        "auto-cheap": Objective("auto-cheap", 0.5),
        "auto-quality": Objective("auto-quality", 0.0),
    }
)


def penalties(costs_usd: Sequence[float | None], *, pool_usd: Sequence[float | None], cost_weight: float) -> Floats:
    """Return the penalty of each eligible arm in quality units, shape (K,).

    `cost_weight` times log cost, scaled to [0, 1] over the whole pool's costs for this query: on the log scale twice as
    dear weighs the same anywhere, and eligibility of others does not move an arm's penalty. An arm without a price (or
    free) carries none.
    """
    known = [cost for cost in pool_usd if cost is not None and cost > 0]
    if not known or cost_weight == 0.0:
        return np.zeros(len(costs_usd))
    cheapest = math.log(min(known))
    span = max(math.log(max(known)) - cheapest, math.log(_LEAST_RATIO))
    shares = [max(math.log(cost) - cheapest, 0.0) / span if cost else 0.0 for cost in costs_usd]
    return cost_weight * np.array(shares)
