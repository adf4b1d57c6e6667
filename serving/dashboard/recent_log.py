"""The newest events of the log, read once for all who look within some seconds."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from highwayman.env.types import Decision, Feedback, Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import BadEvent, decode
from highwayman.feedback.log.history import LogHistory

_READ: Final = 3_000  # events: some 1,200 requests
_TOGETHER: Final = 1_000
_KEPT_S: Final = 8.0  # to read and decode takes a tenth of a second of one core


@dataclass(slots=True)
class RecentEvents:
    """What the newest events of a log are, newest first."""

    decisions: dict[str, Decision] = field(default_factory=dict)  # by id
    outcomes: list[Outcome] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)


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
            await asyncio.to_thread(_sort, [data for _, data in rows], recent)
            if len(rows) < _TOGETHER:
                break
            place = rows[-1][0]
        return recent


def _sort(rows: list[bytes], recent: RecentEvents) -> None:
    for data in rows:
        try:
            event = decode(data)
        except BadEvent:
            continue
        match event:
            case Decision():
                recent.decisions[event.id] = event
            case Outcome():
                recent.outcomes.append(event)
            case Feedback():
                recent.feedback.append(event)
