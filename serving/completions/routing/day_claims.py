"""What calls under way may cost all routers of a namespace: claimed from the day before they are made."""

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from highwayman.env.errors import StoreUnavailable
from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Outcome
from highwayman.feedback.log.shared_dollars import ReservedDollars, SharedDollars

_PATIENCE_S = 0.5  # for Redis, before a request goes on without it


@dataclass(slots=True)
class DayClaims:
    """Claims dollars of a hard day for calls of this process, exact however many processes claim at once.

    Where no day is hard, or without Redis, nothing is claimed, nor refused: each process knows its own calls alone
    until it is back. A day that becomes hard begins with what was spent by then.
    """

    dollars: SharedDollars
    background: BackgroundTasks
    known_usd: Callable[[], float]  # returns what this process knows of as spent today
    _claimed: dict[str, ReservedDollars] = field(default_factory=dict, init=False)  # by decision

    async def claim(self, decision_id: str, most_usd: float) -> bool:
        """Return whether the day has so much left for a call, which it then has no more."""
        if self.dollars.usd_per_day is None or most_usd <= 0.0:  # also of a day that is overspent
            return True
        asked, is_heard = asyncio.create_task(self.dollars.claim(most_usd, before_usd=self.known_usd())), False
        try:
            async with asyncio.timeout(_PATIENCE_S):
                claimed = await asyncio.shield(asked)
            is_heard = True
        except (StoreUnavailable, TimeoutError):
            return True
        finally:
            if not is_heard:
                self.background.spawn(self._take_back(asked))
        if claimed is not None:
            self._claimed[decision_id] = claimed
        return claimed is not None

    async def _take_back(self, asked: "asyncio.Task[ReservedDollars | None]") -> None:
        """Give back what Redis grants when nobody waits for it any more: else it is spent until the day ends."""
        with contextlib.suppress(StoreUnavailable):
            claimed = await asked
            if claimed is not None:
                await self.dollars.settle(claimed, 0.0)

    async def left_usd(self) -> float:
        """Return what of the day no router has spent or claimed; infinite where nobody can tell."""
        usd_per_day = self.dollars.usd_per_day
        if usd_per_day is None:
            return math.inf
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return usd_per_day - await self.dollars.spent_usd()
        except (StoreUnavailable, TimeoutError):
            return math.inf

    def give_back(self, decision_id: str) -> None:
        """Give back all that a call was to cost, since it does not go out from here."""
        claimed = self._claimed.pop(decision_id, None)
        if claimed is not None:
            self.background.spawn(self.dollars.settle(claimed, 0.0))

    def on_outcome(self, outcome: Outcome) -> None:
        """Give back what a call that ended did not cost; one that nobody claimed for is counted."""
        claimed, usd = self._claimed.pop(outcome.decision_id, None), outcome.cost_usd or 0.0
        if claimed is not None:
            self.background.spawn(self.dollars.settle(claimed, usd))
        elif self.dollars.usd_per_day is not None:
            before_usd = max(self.known_usd() - usd, 0.0)  # this call is known by now
            self.background.spawn(self.dollars.settle(self.dollars.nothing(), usd, before_usd=before_usd))
