"""Amounts that a process takes ahead for a caller who asks often, so that not every request waits for Redis."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 0.25  # what is left after that is given back
_MOST: Final = 64  # requests' worth
_PART: Final = 200  # of a limit: beyond the request's own, no more than one such part is taken ahead


@dataclass(slots=True)
class QuotaLease:
    """What one process holds of a caller's windows, by their order.

    It can only make a limit stricter for a moment, by one part in 200 for each process: what is held counts as taken. A
    limit below 200 is never taken ahead of.
    """

    held: list[int]
    sums: tuple[int, ...] = ()  # what the windows held when it was taken
    second: int = 0  # by Redis' clock, in which it was taken
    until: float = float("-inf")
    size: int = 1  # requests' worth that is taken at a time
    is_taking: bool = False
    filling: asyncio.Event | None = None  # set when more has come that others may have, too

    def spend(self, needs: Sequence[int], now: float) -> tuple[int, ...] | None:
        """Take what a request needs; return what the windows hold beside what is held; None: too little is."""
        if now >= self.until or any(have < need for have, need in zip(self.held, needs, strict=True)):
            return None
        self.held = [have - need for have, need in zip(self.held, needs, strict=True)]
        return tuple(total - have for total, have in zip(self.sums, self.held, strict=True))

    def next_size(self, needs: Sequence[int], limits: Sequence[int], now: float) -> int:
        """Return for how many requests like this one to take: more each time it is asked again soon."""
        self.size = min(2 * self.size, _MOST) if now < self.until else 1
        ahead = [limit // (_PART * need) for need, limit in zip(needs, limits, strict=True) if need]
        return min([self.size, *(1 + most for most in ahead)])

    def fill(self, ahead: Sequence[int], sums: tuple[int, ...], *, second: int, now: float) -> None:
        """Hold what was taken beyond what a request needs."""
        self.held = [have + more for have, more in zip(self.held, ahead, strict=True)]
        self.sums, self.second, self.until = sums, second, now + KEPT_S

    def expired(self, now: float) -> list[int]:
        """Return what is held for too long, which is not held any more."""
        if now < self.until:
            return []
        held, self.held = self.held, [0] * len(self.held)
        return held

    def credit(self, units: Sequence[int], now: float) -> bool:
        """Put back what a call has not taken (below 0: what it took beyond); False where it is not held here."""
        if (
            self.size == 1
            or now >= self.until
            or any(have + more < 0 for have, more in zip(self.held, units, strict=True))
        ):
            return False
        self.held = [have + more for have, more in zip(self.held, units, strict=True)]
        return True
