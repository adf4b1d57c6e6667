"""Every tenant's dollars of the last days, as a fold over the log."""

from collections.abc import Mapping
from dataclasses import asdict

from highwayman.env.cost.spend_ledger import NO_SPEND, Spend

_DAYS = 3  # whose dollars are kept: today's, yesterday's for the rate of requests, and one for clocks that disagree


class DailySpend:
    """What calls cost by tenant and day of UTC."""

    def __init__(self) -> None:
        self._days: dict[str, dict[int, Spend]] = {}  # by tenant

    def of(self, tenant: str) -> Mapping[int, Spend]:
        """Return what a tenant's calls cost by the day they ended on, the last three days on the log."""
        return self._days.get(tenant, {})

    @property
    def tenants(self) -> tuple[str, ...]:
        """Those that have spent anything in the last days."""
        return tuple(self._days)

    def of_all(self) -> Mapping[int, Spend]:
        """Return what the calls of all tenants cost by the day they ended on."""
        total: dict[int, Spend] = {}
        for days in self._days.values():
            for day, spent in days.items():
                total[day] = total.get(day, NO_SPEND).plus(spent.usd, spent.calls)
        return total

    def add(self, tenant: str, day: int, usd: float, calls: int) -> None:
        """Add to a day, if it is one of the last; of those, only the last stay."""
        days = self._days.get(tenant)
        known = None if days is None else days.get(day)
        if days is not None and known is not None:
            days[day] = known.plus(usd, calls)
            return
        newest = max((known for days in self._days.values() for known in days), default=day)
        if day <= newest - _DAYS:
            return
        self._days.setdefault(tenant, {})[day] = NO_SPEND.plus(usd, calls)
        if day > newest:
            kept = {
                name: {known: spent for known, spent in own.items() if known > day - _DAYS}
                for name, own in self._days.items()
            }
            self._days = {name: own for name, own in kept.items() if own}

    def to_json(self) -> dict[str, float]:
        """Return the numbers by day, what they are of, and tenant; empty where nothing was spent."""
        return {
            f"{day} {what} {tenant}": value
            for tenant, days in self._days.items()
            for day, spent in days.items()
            for what, value in asdict(spent).items()
        }

    @classmethod
    def from_json(cls, numbers: Mapping[str, float]) -> "DailySpend":
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError if it is damaged."""
        spend = cls()
        for key, usd in numbers.items():
            day, what, tenant = key.split(" ", 2)
            if what == "usd":
                calls = int(numbers[f"{day} calls {tenant}"])
                spend._days.setdefault(tenant, {})[int(day)] = Spend(float(usd), calls)
        return spend
