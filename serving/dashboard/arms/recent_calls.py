"""The newest calls on the log, read as they come: what pages show beside the sums over all of it."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Decision, Mode, Outcome, Status
from highwayman.feedback.fold.tallies.control_tally import JUDGE
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.history import LogHistory, readable_events

_READ: Final = 500  # events at a time
_READ_IN_ALL: Final = 4_000
_EVERY_S: Final = 5.0  # at most so often: a page that is open asks every two seconds
_PATIENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class LoggedCall:
    """A decision, and what came of it as far as the log says, each with its place there."""

    decision_id: EventId
    decision: Decision
    outcome_id: EventId | None = None
    outcome: Outcome | None = None

    @property
    def answer(self) -> Outcome | None:
        """What came of it if it was answered by one call, None else."""
        outcome = self.outcome
        return outcome if outcome is not None and outcome.status is Status.OK and not outcome.stages else None


class RecentCalls:
    """The newest calls of callers, oldest first; only what came since the last look is read."""

    def __init__(self, history: LogHistory, *, most: int = 500, timer: Callable[[], float]) -> None:
        """Take the log, how many calls are kept, and a monotonic timer in seconds."""
        self._history = history
        self._most = most
        self._timer = timer
        self._looked_at = -math.inf
        self._newest: EventId | None = None
        self._calls: dict[str, LoggedCall] = {}  # by decision, in the log's order
        self._one_at_a_time = asyncio.Lock()

    async def all(self) -> Sequence[LoggedCall]:
        """Return them as of some seconds ago, oldest first; what was read before while Redis does not answer."""
        async with self._one_at_a_time:
            if self._timer() - self._looked_at >= _EVERY_S:
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        await self._read()
                except (StoreUnavailable, TimeoutError):
                    pass
                self._looked_at = self._timer()
        return list(self._calls.values())

    async def _read(self) -> None:
        """Read what is new, as far back as there is anything to be kept."""
        rows: list[tuple[EventId, bytes]] = []
        place: EventId | None = None
        while len(rows) < _READ_IN_ALL:
            part = await self._history.newest(before=place, count=_READ)
            fresh = [row for row in part if self._newest is None or sort_key(row[0]) > sort_key(self._newest)]
            rows += fresh
            if len(fresh) < _READ:
                break
            place = part[-1][0]
        for event_id, event in await asyncio.to_thread(lambda: list(readable_events(reversed(rows)))):
            self._take(event_id, event)
        for gone in list(self._calls)[: -self._most]:
            del self._calls[gone]
        self._newest = rows[0][0] if rows else self._newest

    def _take(self, event_id: EventId, event: Event) -> None:
        if isinstance(event, Decision):
            if event.mode is not Mode.SHADOW and event.objective != JUDGE:
                self._calls[event.id] = LoggedCall(event_id, event)
        elif isinstance(event, Outcome) and event.decision_id in self._calls:
            call = self._calls[event.decision_id]
            self._calls[event.decision_id] = replace(call, outcome_id=event_id, outcome=event)
