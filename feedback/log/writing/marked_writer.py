"""Writes to the log that find out when its server has lost the end of what it had acknowledged.

A mark is left behind each batch. Where it is not found again, the server was killed between two syncs, or replaced by a
replica that was behind: then the last seconds go there once more.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import kind_letter
from highwayman.feedback.log.store import MOST_TOGETHER, Store, Written
from highwayman.feedback.log.writing.queued_write import DeliveryCallback, DeliveryOutcome

_REMEMBERED = 20_000
_REMEMBERED_S = 5.0  # a server that syncs every second may lose two
_GRACE_S = 0.005  # a busy event loop sees the clock before it sees the answer that had come in time

log = logging.getLogger(__name__)


class MarkedWriter:
    """Puts one replica's events on the log, and remembers the latest for the case that they are lost there."""

    def __init__(
        self,
        store: Store,
        writer: str,
        clock: Callable[[], float],
        *,
        patience_s: float,
        on_delivery_outcome: DeliveryCallback,
    ) -> None:
        """Take the store, a name that no other replica has, a monotonic clock, and how long a write may take (s)."""
        self._store = store
        self._writer = writer
        self._clock = clock
        self._patience_s = patience_s
        self._on_delivery_outcome = on_delivery_outcome
        self._recent: deque[tuple[float, Written]] = deque(maxlen=_REMEMBERED)
        self._number = 0  # of the mark left last; 0: none that should be there

    @property
    def may_be_lost(self) -> bool:
        """Whether there is something that the server might still lose."""
        return bool(self._recent)

    def remember(self, events: Iterable[Written]) -> None:
        """Note that events are on the log since now."""
        now = self._clock()
        self._recent.extend((now, event) for event in events)

    def forget_mark(self) -> None:
        """Look for no mark with the next write: it may be older than one that was given up and still came through."""
        self._number = 0

    def was_not_sent(self) -> None:
        """Note that nothing was sent after all, so that the mark before stands."""
        self._number -= 1

    async def write(self, events: Sequence[Written]) -> list[EventId | None]:
        """Put events on the log; if it has lost some, put the latest there once more. Raises StoreUnavailable."""
        previous, self._number = self._number, self._number + 1
        ids, mark = await self._put_in_time(events)
        if previous and mark != str(previous) and self._recent:
            log.warning("Redis has lost the end of what it had acknowledged")
            await self.send_again()
        oldest_kept = self._clock() - _REMEMBERED_S
        while previous and self._recent and self._recent[0][0] < oldest_kept:  # old, and there all the same
            self._recent.popleft()
        self.remember(events)
        return ids

    async def _put_in_time(self, events: Sequence[Written]) -> tuple[list[EventId | None], str | None]:
        """Return what `Store.put_marked` does. Raises StoreUnavailable, also where that takes too long."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                late = loop.call_later(self._patience_s, lambda: limit.reschedule(loop.time() + _GRACE_S))
                try:
                    return await self._store.put_marked(events, writer=self._writer, mark=str(self._number))
                finally:
                    late.cancel()
        except TimeoutError:  # it may come through all the same: what is sent again changes nothing
            raise StoreUnavailable(f"Redis did not answer within {self._patience_s:g} s") from None

    async def send_again(self) -> None:
        """Put on the log what had been acknowledged last: what is still there does not change."""
        events = [event for _, event in self._recent]
        log.info("sending the last %d events again", len(events))
        for start in range(0, len(events), MOST_TOGETHER):
            await self._store.put_all(events[start : start + MOST_TOGETHER])
        for event in events:
            self._on_delivery_outcome(DeliveryOutcome.SENT_AGAIN, kind_letter(event))
