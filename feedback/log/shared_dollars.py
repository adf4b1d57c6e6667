"""A day's dollars that all processes of a namespace spend from, never one cent more than is allowed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.cost.spend_ledger import DAY_S, day_of
from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.store import Keys

_UNITS = 1e9  # of a dollar: whole numbers add up exactly, whatever is added and taken away
_KEPT_S = int(2 * DAY_S)


@dataclass(frozen=True, slots=True)
class ReservedDollars:
    """Dollars set aside for a call."""

    units: int
    key: str  # of the day they are of


class SharedDollars:
    """A day's dollars (UTC), counted in Redis: what a call can cost at most is set aside before it is made.

    Exact however many processes ask at once: a sum that has gone beyond the ceiling is taken back, and the call not
    made. What a process had set aside when it died stays spent for that day. Without Redis nothing is granted.
    """

    def __init__(
        self,
        client: "aioredis.Redis",
        namespace: str,
        *,
        name: str,
        usd_per_day: float | None,
        clock: Callable[[], float],
    ) -> None:
        """Take where it is counted, under which name, the ceiling (None: there is none) and seconds since the epoch."""
        self._client: Any = client
        self._keys = Keys(namespace)
        self._name = name
        self.usd_per_day = usd_per_day
        self._clock = clock

    def follow(self, usd_per_day: float | None) -> None:
        """Go on with another ceiling; what is spent or set aside stays."""
        self.usd_per_day = usd_per_day

    async def reserve(self, usd: float) -> ReservedDollars | None:
        """Set dollars aside; None if the day has not so much left, or nobody can tell."""
        try:
            return await self.claim(usd)
        except StoreUnavailable:
            return None

    async def claim(self, usd: float, *, before_usd: float = 0.0) -> ReservedDollars | None:
        """Set dollars aside; None if the day has not so much left. Raises StoreUnavailable.

        `before_usd` is what was spent before anything was counted here, which whoever counts first adds.
        """
        units, key = math.ceil(usd * _UNITS), self._keys("usd", self._name, str(day_of(self._clock())))
        if self.usd_per_day is None:
            return ReservedDollars(0, key)
        most = math.floor(self.usd_per_day * _UNITS)
        if units > most:
            return None
        with redis_errors():
            if await self._add(key, units, before_usd) > most:
                await self._client.decrby(key, units)
                return None
        return ReservedDollars(units, key)

    def nothing(self) -> ReservedDollars:
        """Return what is set aside for a call that nobody asked about: settled, all it took is counted."""
        return ReservedDollars(0, self._keys("usd", self._name, str(day_of(self._clock()))))

    async def settle(self, reserved: ReservedDollars, paid_usd: float, *, before_usd: float = 0.0) -> None:
        """Give back what a call did not take, and count what it took beyond; where Redis is away, all stays so.

        `before_usd` is as of `claim`.
        """
        left = reserved.units - math.ceil(paid_usd * _UNITS)
        if left == 0:
            return
        try:
            with redis_errors():
                await self._add(reserved.key, -left, before_usd)
        except StoreUnavailable:
            return

    async def spent_usd(self) -> float:
        """Return what is spent or set aside of today's dollars. Raises StoreUnavailable."""
        with redis_errors():
            units = await self._client.get(self._keys("usd", self._name, str(day_of(self._clock()))))
        return int(units or 0) / _UNITS

    async def _add(self, key: str, units: int, before_usd: float) -> int:
        """Return what a day comes to with so much more."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.set(key, math.floor(before_usd * _UNITS), nx=True, ex=_KEPT_S)
        pipeline.incrby(key, units)
        return int((await pipeline.execute())[-1])
