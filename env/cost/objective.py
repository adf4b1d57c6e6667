"""From dollars, seconds and energy to quality units: what an arm must be better by to be worth its price."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np

from highwayman.env.types import Floats

AUTO = "auto"
_LEAST_RATIO = 2.0  # amounts closer together than this are not stretched to the full scale


@dataclass(frozen=True, slots=True)
class Objective:
    """What a caller wants: how much cost, time and energy count against quality, and what an answer must keep to.

    A weight of 0.15 on cost says that the dearest arm of the pool must be 0.15 better than the cheapest to be chosen.
    """

    name: str
    cost_weight: float
    latency_weight: float = 0.0
    energy_weight: float = 0.0
    max_usd: float | None = None  # a call may be expected to cost at most this
    min_quality: float | None = None  # expected quality in [0, 1] that an arm must reach, if any does
    explore: bool = True  # whether arms may be tried that look worse

    def __post_init__(self) -> None:
        """Raise ValueError for a weight that is no number >= 0, or a limit out of its range."""
        for name in ("cost_weight", "latency_weight", "energy_weight"):
            weight = getattr(self, name)
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"{name} must be a number >= 0, got {weight!r}")
        if self.max_usd is not None and not (math.isfinite(self.max_usd) and self.max_usd >= 0):
            raise ValueError(f"max_usd must be a number of dollars >= 0, got {self.max_usd!r}")
        if self.min_quality is not None and not 0.0 <= self.min_quality <= 1.0:
            raise ValueError(f"min_quality must be in [0, 1], got {self.min_quality!r}")

    def with_overrides(self, **overrides: object) -> "Objective":
        """Return the objective with what a caller overrides for one request; None leaves what there is."""
        current = {field.name: getattr(self, field.name) for field in fields(self)}
        return Objective(**{**current, **{name: value for name, value in overrides.items() if value is not None}})


ALIASES: Mapping[str, Objective] = MappingProxyType(
    {
        AUTO: Objective(AUTO, 0.15),
        "auto-cheap": Objective("auto-cheap", 0.5),
        "auto-quality": Objective("auto-quality", 0.0),
    }
)


def penalties(costs_usd: Sequence[float | None], *, pool_usd: Sequence[float | None], cost_weight: float) -> Floats:
    """Return the penalty of each eligible arm in quality units, shape (K,); see `scaled_penalties`."""
    return scaled_penalties(costs_usd, pool=pool_usd, weight=cost_weight)


def scaled_penalties(amounts: Sequence[float | None], *, pool: Sequence[float | None], weight: float) -> Floats:
    """Return what amounts of dollars, seconds or energy weigh in quality units, shape (K,).

    `weight` times the log amount, scaled to [0, 1] over the whole pool's amounts for this query: on the log scale twice
    as much weighs the same anywhere, and eligibility of others does not move an arm's penalty. An arm whose amount is
    not known (or nothing) carries none.
    """
    known = [amount for amount in pool if amount is not None and amount > 0]
    if not known or weight == 0.0:
        return np.zeros(len(amounts))
    least, span = math.log(min(known)), _log_span(known)
    shares = [max(math.log(amount) - least, 0.0) / span if amount else 0.0 for amount in amounts]
    return weight * np.array(shares)


def scaled_saving(amount: float, less: float, *, pool: Sequence[float | None], weight: float) -> float:
    """Return by how many quality units the penalty of an amount falls where `less` (> 0) is enough.

    On the scale of `scaled_penalties`, which the saving does not move.
    """
    known = [other for other in pool if other is not None and other > 0]
    return weight * math.log(amount / less) / _log_span(known) if known and less < amount else 0.0


def _log_span(known: Sequence[float]) -> float:
    """Return what the log scale over these amounts, all > 0, is divided by."""
    return max(math.log(max(known)) - math.log(min(known)), math.log(_LEAST_RATIO))
