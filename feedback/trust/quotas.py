"""How much a key or a tenant may take: requests, tokens and dollars, by the minute, the day and the month."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

REQUESTS, TOKENS, USD = "requests", "tokens", "usd"
MINUTE, DAY, MONTH = "minute", "day", "month"
RESOURCES: Final = (REQUESTS, TOKENS, USD)
PERIODS: Final = (MINUTE, DAY, MONTH)
USD_UNITS: Final = 1e9  # of a dollar: whole numbers add up exactly, whatever is added and taken away
_MOST_UNITS = 2**53  # beyond, a Lua number is not exact


@dataclass(frozen=True, slots=True)
class Quota:
    """The most of one resource in one period: any 60 s, or a day or a month of the calendar (UTC)."""

    resource: str
    period: str
    limit: float

    @property
    def units(self) -> int:
        """The limit in whole units, as it is counted."""
        return units_of(self.resource, self.limit)


QUOTA_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    f"{resource}_per_{period}": (resource, period) for resource in RESOURCES for period in PERIODS
}


def parse_quotas(limits: Mapping[str, float]) -> tuple[Quota, ...]:
    """Return the quotas that `requests_per_minute` and its like set. Raises ValueError for what is none."""
    unknown = [name for name in limits if name not in QUOTA_NAMES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no limit; there are {', '.join(QUOTA_NAMES)}")
    quotas = tuple(Quota(*QUOTA_NAMES[name], limits[name]) for name in QUOTA_NAMES if name in limits)
    for quota in quotas:
        if not (math.isfinite(quota.limit) and quota.limit > 0 and quota.units < _MOST_UNITS):
            raise ValueError(
                f"{quota.resource}_per_{quota.period} must be > 0 and below {_MOST_UNITS}, got {quota.limit!r}"
            )
    return quotas


def units_of(resource: str, amount: float) -> int:
    """Return an amount in whole units: billionths of a dollar, else as it is; a part of one counts as one."""
    return math.ceil(amount * USD_UNITS) if resource == USD else math.ceil(amount)
