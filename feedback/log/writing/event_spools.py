"""Events that wait on this machine's disk while Redis is away: put there in order, and taken to the log in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Decision, Feedback, Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import BadEvent, UnwritableEvent, decode, encode, kind_letter
from highwayman.feedback.log.store import MOST_TOGETHER, Written
from highwayman.feedback.log.writing.queued_write import (
    DeliveryCallback,
    DeliveryOutcome,
    QueuedWrite,
    WritabilityCheck,
    resolve,
    unwritable,
)
from highwayman.feedback.log.writing.spool import Spool, SpoolFull

log = logging.getLogger(__name__)


class EventSpools:
    """The spools of one replica: the first takes events, what waits in any of them is drained."""

    def __init__(
        self, spools: Sequence[Spool], writability: WritabilityCheck, on_delivery_outcome: DeliveryCallback
    ) -> None:
        """Take the spools, what sets unwritable events aside, and what is told of each event."""
        self._spools = list(spools)
        self._writability = writability
        self._on_delivery_outcome = on_delivery_outcome
        self._syncs: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many events wait."""
        return sum(map(len, self._spools))

    def append(self, batch: Sequence[QueuedWrite]) -> None:
        """Append events to the spool; feedback is acknowledged once it is on the disk, the rest at once."""
        synced = []
        for event, future in batch:
            try:
                self._spools[0].append([encode(event)])
            except UnwritableEvent as error:
                self._writability.count_set_aside(event, error)
                resolve(future, unwritable(event))
                continue
            except SpoolFull as error:
                if isinstance(event, Feedback):
                    resolve(future, StoreUnavailable(f"Redis is away, and {error}. Try again later."))
                else:
                    self._on_delivery_outcome(DeliveryOutcome.LOST, kind_letter(event))
                    resolve(future, None)
                continue
            self._on_delivery_outcome(DeliveryOutcome.SPOOLED, kind_letter(event))
            if isinstance(event, Feedback):
                synced.append(future)
            else:
                resolve(future, None)
        if synced:
            task = asyncio.create_task(self._sync(synced))
            self._syncs.add(task)
            task.add_done_callback(self._syncs.discard)

    async def drain(self, put_all: Callable[[Sequence[Written]], Awaitable[None]]) -> None:
        """Hand what waits to `put_all`, oldest first, and drop it then; what that raises is raised."""
        for spool in self._spools:
            while len(spool):
                raw = spool.peek(MOST_TOGETHER)
                events = [event for event in _readable(raw) if self._writability.is_writable(event)]
                await put_all(events)
                for event in events:
                    self._on_delivery_outcome(DeliveryOutcome.DRAINED, kind_letter(event))
                spool.drop(raw)

    async def close(self) -> None:
        """Close the spools once what was appended is on the disk."""
        if self._syncs:
            await asyncio.wait(set(self._syncs))
        for spool in self._spools:
            spool.close()

    async def _sync(self, futures: Sequence["asyncio.Future[EventId | None]"]) -> None:
        result: Exception | None = None
        try:
            await asyncio.to_thread(self._spools[0].sync)
        except OSError as error:
            result = StoreUnavailable(f"Redis is away, and the spool cannot be synced: {error.strerror}.")
        for future in futures:
            resolve(future, result)


def _readable(raw: Sequence[bytes]) -> list[Written]:
    """Return the events in `raw`; what this version cannot read is logged and left out."""
    events: list[Written] = []
    for data in raw:
        try:
            event = decode(data)
        except BadEvent as error:
            log.error("an event of the spool is dropped: %s", error)
            continue
        if isinstance(event, Decision | Outcome | Feedback):
            events.append(event)
    return events
