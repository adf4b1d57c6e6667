"""What a caller wants of one request beyond the model's name, given in headers."""

import math
from dataclasses import dataclass

from highwayman.env.cost.objective import AUTO, MOST_POINTS, Objective
from highwayman.env.cost.pool_spread import PoolSpread
from highwayman.serving.http.asgi import Scope, header, header_map
from highwayman.serving.http.validation import BadRequest

_OURS = b"x-highwayman-"
OBJECTIVE = b"x-highwayman-objective"
POINTS_PER_USD = b"x-highwayman-points-per-usd"
COST_WEIGHT = b"x-highwayman-cost-weight"
MAX_USD = b"x-highwayman-max-usd"
MIN_QUALITY = b"x-highwayman-min-quality"
EXPLORE = b"x-highwayman-explore"
CASCADE = b"x-highwayman-cascade"
_CACHE_CONTROL = b"cache-control"
_NAMED = {"balanced": AUTO, "cheap": "auto-cheap", "quality": "auto-quality"}
_YES, _NO = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class RoutingOptions:
    """What one request asks for; None: as the objective has it."""

    alias: str | None = None  # the objective meant, instead of the one the model's name means
    points_per_usd: float | None = None
    cost_weight: float | None = None  # instead of points: what the pool's dearest arm must be better by
    max_usd: float | None = None
    min_quality: float | None = None
    explore: bool | None = None
    cascade: bool | None = None  # False: the first arm's answer is passed on, whatever it is

    def apply_to(self, objective: Objective, spread: PoolSpread) -> Objective:
        """Return the objective with these overrides; a weight refers to how far the pool's arms lie apart."""
        if self is NO_OPTIONS:
            return objective
        points = self.points_per_usd if self.cost_weight is None else spread.points_per_usd(self.cost_weight)
        return objective.with_overrides(
            points_per_usd=points, max_usd=self.max_usd, min_quality=self.min_quality, explore=self.explore
        )


NO_OPTIONS = RoutingOptions()


def parse_routing_options(scope: Scope) -> RoutingOptions:
    """Return the options in the request's headers. Raises BadRequest naming the header and what it takes."""
    if _OURS not in b"\n".join(header_map(scope)):  # looked for once, however many headers there are
        return NO_OPTIONS
    objective = header(scope, OBJECTIVE)
    alias = _NAMED.get(objective.strip().lower()) if objective is not None else None
    points, weight = _number(scope, POINTS_PER_USD, maximum=MOST_POINTS), _number(scope, COST_WEIGHT)
    is_number = objective is not None and alias is None
    dials = [(OBJECTIVE, is_number), (POINTS_PER_USD, points is not None), (COST_WEIGHT, weight is not None)]
    given = [name.decode() for name, is_given in dials if is_given]
    if len(given) > 1:
        raise BadRequest(f"{' and '.join(given)}: give one of them", param=given[0])
    if is_number:
        weight = _number(
            scope, OBJECTIVE, error_message=f"must be {', '.join(_NAMED)}, or a cost weight, a number >= 0"
        )
    return RoutingOptions(
        alias,
        points,
        weight,
        _number(scope, MAX_USD),
        _number(scope, MIN_QUALITY, maximum=1.0),
        _truth(scope, EXPLORE),
        _truth(scope, CASCADE),
    )


@dataclass(frozen=True, slots=True)
class CacheControl:
    """What a request says of stored answers, as RFC 9111 (2022) has it."""

    gives: bool = True  # not `no-cache`: a stored answer will do
    stores: bool = True  # not `no-store`: its own may be stored


def parse_cache_control(scope: Scope) -> CacheControl:
    """Return what the header says; of other directives nothing."""
    value = header(scope, _CACHE_CONTROL)
    if value is None:
        return CacheControl()
    directives = {part.strip().lower() for part in value.split(",")}
    return CacheControl("no-cache" not in directives, "no-store" not in directives)


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


def _truth(scope: Scope, name: bytes) -> bool | None:
    value = header(scope, name)
    if value is None:
        return None
    normalized = value.strip().lower()
    if normalized not in _YES | _NO:
        raise BadRequest(f"{name.decode()}: must be true or false", param=name.decode())
    return normalized in _YES
