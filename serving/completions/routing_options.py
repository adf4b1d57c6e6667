"""What a caller wants of one request beyond the model's name, given in headers."""

import math
from dataclasses import dataclass

from highwayman.env.cost.objective import AUTO, Objective
from highwayman.serving.http.asgi import Scope, header
from highwayman.serving.http.validation import BadRequest

OBJECTIVE = b"x-highwayman-objective"
COST_WEIGHT = b"x-highwayman-cost-weight"
MAX_USD = b"x-highwayman-max-usd"
MIN_QUALITY = b"x-highwayman-min-quality"
EXPLORE = b"x-highwayman-explore"
_NAMED = {"balanced": AUTO, "cheap": "auto-cheap", "quality": "auto-quality"}
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class RoutingOptions:
    """What one request asks for; None: as the objective has it."""

    alias: str | None = None  # the objective meant, instead of the one the model's name means
    cost_weight: float | None = None
    max_usd: float | None = None
    min_quality: float | None = None
    explore: bool | None = None

    def apply_to(self, objective: Objective) -> Objective:
        """Return the objective with these overrides."""
        return objective.with_overrides(
            cost_weight=self.cost_weight, max_usd=self.max_usd, min_quality=self.min_quality, explore=self.explore
        )


def parse_routing_options(scope: Scope) -> RoutingOptions:
    """Return the options in the request's headers. Raises BadRequest naming the header and what it takes."""
    objective = header(scope, OBJECTIVE)
    alias = _NAMED.get(objective.strip().lower()) if objective is not None else None
    weight = _number(scope, COST_WEIGHT)
    if objective is not None and alias is None:
        if weight is not None:
            raise BadRequest(
                f"{OBJECTIVE.decode()} and {COST_WEIGHT.decode()}: give one of them", param=OBJECTIVE.decode()
            )
        weight = _number(
            scope, OBJECTIVE, error_message=f"must be {', '.join(_NAMED)}, or a cost weight, a number >= 0"
        )
    return RoutingOptions(
        alias, weight, _number(scope, MAX_USD), _number(scope, MIN_QUALITY, maximum=1.0), _truth(header(scope, EXPLORE))
    )


def _number(scope: Scope, name: bytes, *, maximum: float = math.inf, error_message: str = "") -> float | None:
    value = header(scope, name)
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and 0 <= number <= maximum):
        accepted = "a number >= 0" if maximum == math.inf else f"a number in [0, {maximum:g}]"
        raise BadRequest(f"{name.decode()}: {error_message or f'must be {accepted}'}", param=name.decode())
    return number


def _truth(value: str | None) -> bool | None:
    if value is None:
        return None
    normalized = value.strip().lower()
    if normalized not in _YES | _NO:
        raise BadRequest(f"{EXPLORE.decode()}: must be true or false", param=EXPLORE.decode())
    return normalized in _YES
