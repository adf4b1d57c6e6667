"""The end of the log as the learners of one process read it: an event is read and decoded once for all of them."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Decision, Outcome
from highwayman.feedback.fold.learner import LogEntry, needs_record
from highwayman.feedback.learning.recent_decisions import RecentDecisions
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.events import BadEvent, Event, decision_id_of, decode
from highwayman.feedback.log.store import Store

_MOST_KEPT = 4096  # events for whoever is behind

LogRow = tuple[EventId, bytes, bool]


class LogTail:
    """Keeps what one learner has read until the others have come as far; who is further back reads for itself.

    That an event is folded later than it was read changes nothing: what an event means ends with its place on the log.
    """

    def __init__(self, decode: Callable[[bytes], Event] = decode, *, most: int = _MOST_KEPT) -> None:
        """Take what decodes events, and how many are kept at most."""
        self._decode = decode
        self._most = most
        self._recent = RecentDecisions()
        self._positions: WeakKeyDictionary[object, tuple[int, int]] = WeakKeyDictionary()  # of readers
        self._after: EventId | None = None  # what is kept begins behind it
        self._rows: list[LogRow] = []  # without a gap
        self._entries: dict[EventId, LogEntry | None] = {}  # those of the rows, None: not decoded yet
        self._awaited: EventId | None = None  # behind which a reader waits for the next event
        self._arrival = asyncio.Event()

    async def read(
        self, reader: object, store: Store, after: EventId, *, count: int, block_s: float, anchored: bool
    ) -> Sequence[LogRow]:
        """Return what `Store.read` does, or a part of it that another reader has read.

        Args:
            reader: who asks; as long as it lives, what it has not asked for is kept.
            store: of the log, the same for all readers.
            after: as in `Store.read`, as the others.
            count: at most so many.
            block_s: so long is waited for the first.
            anchored: whether the event `after` must be on the log.

        Raises:
            LogTruncated: the event is gone.
            StoreUnavailable: Redis does not answer.
        """
        self._positions[reader] = sort_key(after)
        self._let_go()
        rows = self._kept(after, count)
        if not rows and block_s and after == self._awaited:
            await self._arrived(block_s)
            return self._kept(after, count)
        return rows or await self._read(store, after, count=count, block_s=block_s, anchored=anchored)

    async def read_alone(
        self, store: Store, after: EventId, *, count: int, block_s: float, anchored: bool
    ) -> Sequence[LogRow]:
        """Return and raise what `Store.read` does, whatever others have read."""
        with self._forgetting_what_may_be_lost():
            return await store.read(after, count=count, block_s=block_s, anchored=anchored)

    async def entries(
        self, store: Store, rows: Sequence[LogRow]
    ) -> tuple[list[LogEntry], Sequence[tuple[EventId, str]]]:
        """Return the events of rows that can be read, with the records they need, and why each other one cannot be."""
        entries: list[LogEntry] = []
        asked_for: list[tuple[int, str]] = []  # places of entries, and decisions
        unreadable: list[tuple[EventId, str]] = []
        for event_id, data, filed_before in rows:
            entry = self._entries.get(event_id)
            if entry is None:
                try:
                    event = self._decode(data)
                except BadEvent as error:
                    unreadable.append((event_id, str(error)))
                    continue
                entry, needs = self._entry(event_id, event, filed_before=filed_before)
                if needs and (name := decision_id_of(event)):
                    asked_for.append((len(entries), name))
                elif event_id in self._entries:
                    self._entries[event_id] = entry
            entries.append(entry)
        if asked_for:
            with self._forgetting_what_may_be_lost():
                records = await store.records([name for _, name in asked_for])
            for place, name in asked_for:
                event_id, event, _ = entries[place]
                entries[place] = entry = LogEntry(event_id, event, records.get(name))
                if event_id in self._entries:
                    self._entries[event_id] = entry
        return entries, unreadable

    def _entry(self, event_id: EventId, event: Event, *, filed_before: bool) -> tuple[LogEntry, bool]:
        """Return an event's entry, and whether its record must be asked for.

        Not an outcome's whose decision was just read, if nothing else is known of that.
        """
        if isinstance(event, Decision):
            self._recent.add(event_id, event)
            return LogEntry(event_id, event), filed_before
        if isinstance(event, Outcome):
            record = None if filed_before else self._recent.record_of(event_id, event)
            return LogEntry(event_id, event, record), record is None
        return LogEntry(event_id, event), filed_before or needs_record(event)

    async def _read(
        self, store: Store, after: EventId, *, count: int, block_s: float, anchored: bool
    ) -> Sequence[LogRow]:
        waits = self._awaited is None
        if waits:
            self._awaited, self._arrival = after, asyncio.Event()
        try:
            rows = await self.read_alone(store, after, count=count, block_s=block_s, anchored=anchored)
        finally:
            if waits:
                self._awaited = None
                self._arrival.set()
        self._keep(after, rows)
        return rows

    async def _arrived(self, block_s: float) -> None:
        """Wait for what another reader waits for."""
        try:
            async with asyncio.timeout(block_s):
                await self._arrival.wait()
        except TimeoutError:
            return

    def _keep(self, after: EventId, rows: Sequence[LogRow]) -> None:
        """Keep rows for the other readers, if they go on from what is kept, or from behind it."""
        if len(self._positions) < 2 or not rows:
            return
        end = self._rows[-1][0] if self._rows else self._after
        if end is None or sort_key(end) < sort_key(after):
            self._keep_nothing()
            self._after = end = after
        if end == after:
            self._rows += rows
            self._entries.update((row[0], None) for row in rows)

    def _kept(self, after: EventId, count: int) -> Sequence[LogRow]:
        """Return up to `count` of the rows behind `after`, none where these are not kept."""
        if after != self._after and after not in self._entries:
            return ()
        start = bisect_right(self._rows, sort_key(after), key=_place)
        return self._rows[start : start + count]

    def _let_go(self) -> None:
        """Let go of what all readers have come past, and of the oldest beyond as many as are kept."""
        passed = bisect_right(self._rows, min(self._positions.values()), key=_place)
        passed = max(passed, len(self._rows) - self._most)
        if passed:
            for event_id, _, _ in self._rows[:passed]:
                del self._entries[event_id]
            self._after = self._rows[passed - 1][0]
            del self._rows[:passed]

    @contextmanager
    def _forgetting_what_may_be_lost(self) -> Iterator[None]:
        """Keep nothing of what was read where Redis fails: it may have lost that."""
        try:
            yield
        except StoreUnavailable:
            self._keep_nothing()
            self._recent = RecentDecisions()
            raise

    def _keep_nothing(self) -> None:
        self._after = None
        self._rows.clear()
        self._entries.clear()


def _place(row: LogRow) -> tuple[int, int]:
    return sort_key(row[0])
