"""The way of a replica's events to the log: directly, or over a spool while Redis is away. Nothing is lost on either.

Writing directly, events that come together go together, each once however often they are sent. When Redis fails, or
does not answer in time, events go to the spool instead, in order; when it is back, the spool is drained in order, and
only when it is empty do events go directly again. A server that lost the end of what it had acknowledged (killed
between two syncs, or replaced by a replica that was behind) is found out by the mark left behind each batch, and gets
the last seconds once more. The mark is looked at until what it stands behind is old enough to be safe, whether or not
there is more to write.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from highwayman.env.errors import InvalidFeedback, StoreUnavailable, UnknownDecision
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Decision, Feedback, Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import BadEvent, UnwritableEvent, decode, encode, kind_letter
from highwayman.feedback.log.spool import Spool, SpoolFull
from highwayman.feedback.log.store import MOST_TOGETHER, Store, Written

_BATCH = MOST_TOGETHER
_REMEMBERED = 20_000
_REMEMBERED_S = 5.0  # a server that syncs every second may lose two
_LOOK_S = 1.0  # at the mark, while there is nothing to write
_GRACE_S = 0.005  # a busy event loop sees the clock before it sees the answer that had come in time
_PROBE_S = (0.1, 2.0)  # first and longest pause between two looks whether Redis is back

log = logging.getLogger(__name__)

QueuedWrite = tuple[Written, "asyncio.Future[EventId | None]"]


class DeliveryOutcome(StrEnum):
    """What became of an event that did not go to the log directly."""

    SPOOLED = "spooled"
    DRAINED = "drained"
    LOST = "lost"
    SET_ASIDE = "set_aside"  # it cannot be written at all
    SENT_AGAIN = "sent_again"


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
        on_delivery_outcome: Callable[[DeliveryOutcome, str], None],
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
        self._spools = list(spools)
        self._writer = writer
        self._clock = clock
        self._patience_s = patience_s
        self._on_delivery_outcome = on_delivery_outcome
        self._queue: deque[QueuedWrite] = deque()
        self._wake = asyncio.Event()
        self._away = any(map(len, spools))  # whether events go to the spool
        self._went_away = asyncio.Event()
        if self._away:
            self._went_away.set()
        self._recent: deque[tuple[float, Written]] = deque(maxlen=_REMEMBERED)
        self._number = 0  # of the mark left last; 0: none that should be there
        self._syncs: set[asyncio.Task[None]] = set()
        self._stopping = self._ended = False
        self._look = False  # the mark is to be looked at, be there events to write or not

    @property
    def degraded(self) -> bool:
        """Whether events go to the spool."""
        return self._away

    @property
    def waiting(self) -> int:
        """How many events wait in the spool."""
        return sum(map(len, self._spools))

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
        if self._ended:
            self._refuse(event)
            return None
        future: asyncio.Future[EventId | None] = asyncio.get_running_loop().create_future()
        self._queue.append((event, future))
        self._wake.set()
        return await future

    def _refuse(self, event: Written) -> None:
        """Count an event that nothing takes any more. Raises StoreUnavailable for feedback."""
        if isinstance(event, Feedback):
            raise StoreUnavailable("This router takes no feedback any more: it is about to end. Try again.")
        self._on_delivery_outcome(DeliveryOutcome.LOST, kind_letter(event))

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
            self._wake.set()
            for task in others:
                await cancel_and_wait(task)
            await asyncio.wait({writing})
            self._ended = True
            self._spool([self._queue.popleft() for _ in range(len(self._queue))])
            if self._syncs:
                await asyncio.wait(set(self._syncs))
            for spool in self._spools:
                spool.close()

    async def _write(self) -> None:
        while self._queue or not self._stopping:
            if self._queue or self._look:
                await self._write_batch()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _verify_watermark(self) -> None:
        """Have the mark looked at every now and then, as long as what stands before it might still be lost."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self._look = bool(self._recent) and not self._away
            if self._look:
                self._wake.set()

    async def _write_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        self._look = False
        if self._away:
            self._spool(batch)
            return
        try:
            ids = await self._sent([event for event, _ in batch])
        except StoreUnavailable as error:
            self._go_away(error)
            self._spool(batch)
            return
        except UnwritableEvent:
            self._number -= 1  # nothing was sent, so the mark before stands
            self._queue.extendleft(reversed(self._set_unwritable_aside(batch)))
            return
        except BaseException:
            self._queue.extendleft(reversed(batch))  # a fault of ours: `run` puts what waits into the spool
            raise
        for (event, future), event_id in zip(batch, ids, strict=True):
            erased = event_id is None and isinstance(event, Feedback)
            _resolve(
                future,
                UnknownDecision("This decision, or this statement about it, was erased.") if erased else event_id,
            )

    def _set_unwritable_aside(self, batch: Sequence[QueuedWrite]) -> list[QueuedWrite]:
        """Return the writes of a batch whose events can be written, in order; the others are counted and resolved."""
        writable = []
        for event, future in batch:
            if self._is_writable(event):
                writable.append((event, future))
            else:
                _resolve(future, _unwritable(event))
        return writable

    def _is_writable(self, event: Written) -> bool:
        """Return whether the event can be written; one that cannot is counted and told."""
        try:
            encode(event)
        except UnwritableEvent as error:
            self._count_set_aside(event, error)
            return False
        return True

    def _count_set_aside(self, event: Written, error: UnwritableEvent) -> None:
        log.error("an event is set aside: %s", error)
        self._on_delivery_outcome(DeliveryOutcome.SET_ASIDE, kind_letter(event))

    async def _sent(self, events: Sequence[Written]) -> list[EventId | None]:
        """Put events on the log; if it has lost some, put the latest there once more. Raises StoreUnavailable."""
        previous, self._number = self._number, self._number + 1
        write = asyncio.create_task(self._store.put_marked(events, writer=self._writer, mark=str(self._number)))
        for patience_s in (self._patience_s, _GRACE_S):
            if not write.done():
                await asyncio.wait({write}, timeout=patience_s)
        if not write.done():
            write.cancel()  # it may come through all the same: what is sent again changes nothing
            raise StoreUnavailable(f"Redis did not answer within {self._patience_s:g} s")
        ids, mark = write.result()
        if previous and mark != str(previous) and self._recent:
            log.warning("Redis has lost the end of what it had acknowledged")
            await self._send_again()
        now = self._clock()
        while previous and self._recent and self._recent[0][0] < now - _REMEMBERED_S:  # old, and there all the same
            self._recent.popleft()
        self._recent.extend((now, event) for event in events)
        return ids

    async def _send_again(self) -> None:
        """Put on the log what had been acknowledged last: what is still there does not change."""
        events = [event for _, event in self._recent]
        log.info("sending the last %d events again", len(events))
        for start in range(0, len(events), _BATCH):
            await self._store.put_all(events[start : start + _BATCH])
        for event in events:
            self._on_delivery_outcome(DeliveryOutcome.SENT_AGAIN, kind_letter(event))

    def _go_away(self, error: StoreUnavailable) -> None:
        log.warning("events go to the spool: %s", error)
        self._away = True
        self._went_away.set()

    def _spool(self, batch: Sequence[QueuedWrite]) -> None:
        """Append events to the spool; feedback is acknowledged once it is on the disk, the rest at once."""
        synced = []
        for event, future in batch:
            try:
                self._spools[0].append([encode(event)])
            except UnwritableEvent as error:
                self._count_set_aside(event, error)
                _resolve(future, _unwritable(event))
                continue
            except SpoolFull as error:
                if isinstance(event, Feedback):
                    _resolve(future, StoreUnavailable(f"Redis is away, and {error}. Try again later."))
                else:
                    self._on_delivery_outcome(DeliveryOutcome.LOST, kind_letter(event))
                    _resolve(future, None)
                continue
            self._on_delivery_outcome(DeliveryOutcome.SPOOLED, kind_letter(event))
            if isinstance(event, Feedback):
                synced.append(future)
            else:
                _resolve(future, None)
        if synced:
            task = asyncio.create_task(self._sync(synced))
            self._syncs.add(task)
            task.add_done_callback(self._syncs.discard)

    async def _sync(self, futures: Sequence["asyncio.Future[EventId | None]"]) -> None:
        result: Exception | None = None
        try:
            await asyncio.to_thread(self._spools[0].sync)
        except OSError as error:
            result = StoreUnavailable(f"Redis is away, and the spool cannot be synced: {error.strerror}.")
        for future in futures:
            _resolve(future, result)

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
                    self._went_away.clear()
                    log.info("events go to the log again")
                except (StoreUnavailable, TimeoutError):
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _PROBE_S[1])

    async def _drain(self) -> None:
        """Put what waits on the log, oldest first, after what may have been lost. Raises StoreUnavailable."""
        if self._recent:
            await self._send_again()
        for spool in self._spools:
            while len(spool):
                raw = spool.peek(_BATCH)
                events = [event for event in _readable(raw) if self._is_writable(event)]
                await self._store.put_all(events)
                self._recent.extend((self._clock(), event) for event in events)
                for event in events:
                    self._on_delivery_outcome(DeliveryOutcome.DRAINED, kind_letter(event))
                spool.drop(raw)
        self._number = 0  # the mark may be older than a write that was given up and still came through


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


def _unwritable(event: Written) -> InvalidFeedback | None:
    """Return what whoever put an unwritable event is told."""
    if not isinstance(event, Feedback):
        return None
    return InvalidFeedback("This statement holds something that cannot be kept, such as a number that is too large.")


def _resolve(future: "asyncio.Future[EventId | None]", result: EventId | Exception | None) -> None:
    if future.done():  # whoever waited has gone
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


OutcomeCallback = Callable[[Outcome, EventId | None], None]


class OutcomeJournal(Journal):
    """Reports every outcome put: its id on the log, or None where it is in the spool, was erased, or is lost."""

    def __init__(self, *parts: Any, on_logged: OutcomeCallback, **more: Any) -> None:
        """Take the callback, and the parts of a `Journal`."""
        super().__init__(*parts, **more)
        self._on_logged = on_logged

    async def put(self, event: Written) -> EventId | None:
        """Return what `Journal.put` does, and raise what it raises."""
        event_id: EventId | None = None
        try:
            event_id = await super().put(event)
        finally:
            if isinstance(event, Outcome):
                self._on_logged(event, event_id)
        return event_id
