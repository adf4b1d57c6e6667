"""The way of a replica's events to the log: directly, or over a spool while Redis is away. Nothing is lost on either.

Writing directly, events that come together go together, each once however often they are sent. When Redis fails, or
does not answer in time, events go to the spool instead, in order; when it is back, the spool is drained in order, and
only when it is empty do events go directly again. A server that lost the end of what it had acknowledged (killed
between two syncs, or replaced by a replica that was behind) is found out by the mark left behind each batch, and gets
the last seconds once more. The mark is looked at until what it stands behind is old enough to be safe, whether or not
there is more to write.

What nobody waits for, such as the outcome of a plain request, waits a moment for company: asked one request after the
other, a router writes each outcome with the decision that comes next, in one call instead of two.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from highwayman.env.errors import StoreUnavailable, UnknownDecision
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Feedback
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.events import UnwritableEvent, kind_letter
from highwayman.feedback.log.store import MOST_TOGETHER, Store, Written
from highwayman.feedback.log.writing.event_spools import EventSpools
from highwayman.feedback.log.writing.marked_writer import MarkedWriter
from highwayman.feedback.log.writing.queued_write import (
    DeliveryCallback,
    DeliveryOutcome,
    QueuedWrite,
    WritabilityCheck,
    resolve,
)
from highwayman.feedback.log.writing.spool import Spool

__all__ = ["DeliveryOutcome", "Journal"]

_BATCH = MOST_TOGETHER
_COMPANY_S = 0.005  # that an event for which nobody waits may wait for others
_LOOK_S = 1.0  # at the mark, while there is nothing to write
_PROBE_S = (0.1, 2.0)  # first and longest pause between two looks whether Redis is back

log = logging.getLogger(__name__)


class Journal:
    """Takes events of one replica. `put` returns when the event is on the log or, failing that, in the spool."""

    def __init__(
        self,
        store: Store,
        spools: Sequence[Spool],
        *,
        writer: str,
        clock: Callable[[], float],
        patience_s: float,
        on_delivery_outcome: DeliveryCallback,
    ) -> None:
        """Take its parts.

        Args:
            store: where events belong.
            spools: the first takes events while Redis is away; whatever waits in any of them is drained.
            writer: a name that no other replica has.
            clock: monotonic, in seconds.
            patience_s: how long Redis may take for a write before it counts as away.
            on_delivery_outcome: called with what became of such an event, and its kind (d, o, f).
        """
        self._store = store
        self._patience_s = patience_s
        self._on_delivery_outcome = on_delivery_outcome
        self._queue: deque[QueuedWrite] = deque()
        self._is_due = False  # whether what is queued, if anything is, goes now
        self._due_later: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._writability = WritabilityCheck(on_delivery_outcome)
        self._spools = EventSpools(spools, self._writability, on_delivery_outcome)
        self._direct = MarkedWriter(
            store, writer, clock, patience_s=patience_s, on_delivery_outcome=on_delivery_outcome
        )
        self._away = len(self._spools) > 0  # whether events go to the spool
        self._went_away = asyncio.Event()
        if self._away:
            self._went_away.set()
        self._stopping = self._ended = False
        self._drained_upto: EventId = "0-0"  # the last event that came from the spool
        self._look = False  # the mark is to be looked at, be there events to write or not

    @property
    def degraded(self) -> bool:
        """Whether events go to the spool."""
        return self._away

    @property
    def waiting(self) -> int:
        """How many events wait in the spool."""
        return len(self._spools)

    async def put(self, event: Written) -> EventId | None:
        """Return the event's id on the log, or None if it is in the spool.

        Feedback that was spooled is on the disk. A decision or outcome that neither takes is counted as lost.

        An event that cannot be written, such as a number that is too large, is set aside: it is counted, told in the
        process's log without what is in it, and its neighbours are written.

        Raises:
            UnknownDecision: its decision was erased.
            StoreUnavailable: feedback that neither the log nor the spool takes.
            InvalidFeedback: feedback that cannot be written.
        """
        return await self.submit(event)

    def submit(self, event: Written, *, may_wait: bool = False) -> "asyncio.Future[EventId | None]":
        """Take an event behind those that were taken before; return the future of what `put` returns or raises.

        Whoever need not wait spares a task; to cancel the future changes nothing about the event. One that `may_wait`
        goes with the next one that may not, a few milliseconds later at most.
        """
        future: asyncio.Future[EventId | None] = asyncio.get_running_loop().create_future()
        if self._ended:
            self._refuse(event, future)
        else:
            self._queue.append((event, future))
            if not may_wait:
                self._write_soon()
            elif self._due_later is None:
                self._due_later = future.get_loop().call_later(_COMPANY_S, self._write_soon)
        return future

    def _write_soon(self) -> None:
        self._is_due = True
        self._wake.set()

    def _refuse(self, event: Written, future: "asyncio.Future[EventId | None]") -> None:
        """Count an event that nothing takes any more; feedback is refused."""
        if isinstance(event, Feedback):
            message = "This router takes no feedback any more: it is about to end. Try again."
            resolve(future, StoreUnavailable(message))
            return
        self._on_delivery_outcome(DeliveryOutcome.LOST, kind_letter(event))
        resolve(future, None)

    async def run(self) -> None:
        """Write what is put, until cancelled; then write the rest and close the spools.

        Should it fail, what waits goes to the spool, and what comes later is refused: nobody is left waiting.
        """
        # A batch under way is never cut short: the writer is told to stop, and stops when nothing waits.
        writing = asyncio.create_task(self._write())
        others = [asyncio.create_task(self._reconnect()), asyncio.create_task(self._verify_watermark())]
        try:
            done, _ = await asyncio.wait({writing, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._stopping = True
            self._write_soon()
            for task in others:
                await cancel_and_wait(task)
            await asyncio.wait({writing})
            self._ended = True
            self._spools.append([self._queue.popleft() for _ in range(len(self._queue))])
            await self._spools.close()

    async def _write(self) -> None:
        while self._queue or not self._stopping:
            if (self._queue and self._is_due) or self._look:
                await self._write_batch()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _verify_watermark(self) -> None:
        """Have the mark looked at every now and then, as long as what stands before it might still be lost."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self._look = self._direct.may_be_lost and not self._away
            if self._look:
                self._wake.set()

    async def _write_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        self._look, self._is_due = False, bool(self._queue) or self._stopping
        if self._due_later is not None:
            self._due_later.cancel()
            self._due_later = None
        if self._away:
            self._spools.append(batch)
            return
        try:
            ids = await self._direct.write([event for event, _ in batch])
        except StoreUnavailable as error:
            self._go_away(error)
            self._spools.append(batch)
            return
        except UnwritableEvent:
            self._direct.was_not_sent()
            self._queue.extendleft(reversed(self._writability.set_aside(batch)))
            self._is_due = True
            return
        except BaseException:
            self._queue.extendleft(reversed(batch))  # a fault of ours: `run` puts what waits into the spool
            raise
        for (event, future), event_id in zip(batch, ids, strict=True):
            erased = event_id is None and isinstance(event, Feedback)
            resolve(
                future,
                UnknownDecision("This decision, or this statement about it, was erased.") if erased else event_id,
            )

    def _go_away(self, error: StoreUnavailable) -> None:
        log.warning("events go to the spool: %s", error)
        self._away = True
        self._went_away.set()

    async def _reconnect(self) -> None:
        """Look whether Redis is back whenever it went away; then drain the spool, and write directly again."""
        while True:
            await self._went_away.wait()
            pause_s = _PROBE_S[0]
            while self._away:
                try:
                    async with asyncio.timeout(max(self._patience_s, 1.0)):
                        await self._store.ping()
                    await self._drain()
                    self._away = False  # in the same breath as the spool was seen empty
                    self._tell_drained()
                    self._went_away.clear()
                    log.info("events go to the log again")
                except (StoreUnavailable, TimeoutError):
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _PROBE_S[1])

    async def _drain(self) -> None:
        """Put what waits on the log, oldest first, after what may have been lost. Raises StoreUnavailable."""
        if self._direct.may_be_lost:
            await self._direct.send_again()
        await self._spools.drain(self._put_waiting)
        self._direct.forget_mark()

    async def _put_waiting(self, events: Sequence[Written]) -> None:
        ids = await self._store.put_all(events)
        self._direct.remember(events)
        self._drained_upto = max([self._drained_upto, *filter(None, ids)], key=sort_key)

    def _tell_drained(self) -> None:
        """Take that all that waited is on the log; to be told on."""
