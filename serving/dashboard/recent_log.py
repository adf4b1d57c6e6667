"""The newest events of the log, read once for all who look within some seconds."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from highwayman.env.types import Control, ControlKind, Decision, Feedback
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.history import LogHistory, readable_events

_READ: Final = 3_000  # events: some 1,200 requests
_TOGETHER: Final = 1_000
_KEPT_S: Final = 8.0  # to read and decode takes a tenth of a second of one core


@dataclass(slots=True)
class RecentEvents:
    """What the newest events of a log are, newest first."""

    decisions: dict[str, Decision] = field(default_factory=dict)  # by id
    feedback: list[Feedback] = field(default_factory=list)  # quarantined or not as it is by now
    turns: Counter[str] = field(default_factory=Counter)  # how often a statement was quarantined or released, by id
    erased: set[str] = field(default_factory=set)  # ids of decisions and statements

    def add(self, event: Event) -> None:
        """File an event."""
        match event:
            case Decision():
                self.decisions[event.id] = event
            case Feedback():
                self.feedback.append(event)
            case Control(kind=ControlKind.QUARANTINE):
                self.turns.update(event.detail["feedback"])
            case Control(kind=ControlKind.ERASURE):
                self.erased.update(event.detail.get("feedback") or [event.detail["decision"]])

    def settle(self) -> None:
        """Follow what was erased, quarantined and released, which stands behind what it is about: all of it is here."""
        for name in self.erased & self.decisions.keys():
            del self.decisions[name]
        self.feedback = [
            replace(told, quarantined=told.quarantined != bool(self.turns[told.id] % 2))
            for told in self.feedback
            if self.erased.isdisjoint((told.id, told.decision_id))
        ]


class RecentLog:
    """Reads them; what was read a moment ago is given again."""

    def __init__(self, history: LogHistory, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the log and a clock in seconds."""
        self._history = history
        self._clock = clock
        self._read: RecentEvents | None = None
        self._at = 0.0
        self._reading = asyncio.Lock()

    async def events(self) -> RecentEvents:
        """Return the newest events. Raises StoreUnavailable."""
        async with self._reading:
            if self._read is None or self._clock() - self._at >= _KEPT_S:
                self._read = await self._newest()
                self._at = self._clock()
            return self._read

    async def _newest(self) -> RecentEvents:
        recent = RecentEvents()
        place: EventId | None = None
        for _ in range(_READ // _TOGETHER):
            rows = await self._history.newest(before=place, count=_TOGETHER)
            await asyncio.to_thread(_sort, rows, recent)
            if len(rows) < _TOGETHER:
                break
            place = rows[-1][0]
        recent.settle()
        return recent


def _sort(rows: Sequence[tuple[EventId, bytes]], recent: RecentEvents) -> None:
    for _, event in readable_events(rows):
        recent.add(event)
