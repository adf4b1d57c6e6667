"""Statements under clients' own ids that come while Redis is away: on this machine's disk until it is back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.intake.pending import PendingFeedback, PendingItem, pack_item, unpack_item
from highwayman.feedback.intake.pending_retraction import PendingRetraction, unpack_retraction
from highwayman.feedback.log.writing.spool import Spool, SpoolFull

_BATCH = 100
_AGAIN_S = 0.5  # between two looks whether Redis is back

log = logging.getLogger(__name__)


class PendingSpool:
    """Takes statements whose decisions cannot be looked up now; nothing it has taken is lost."""

    def __init__(self, spools: Sequence[Spool], pending: PendingFeedback, clock: Callable[[], float]) -> None:
        """Take its parts.

        Args:
            spools: the first takes what comes; what waits in any of them goes on to `pending`.
            pending: where statements wait for their decisions, in Redis.
            clock: seconds since the epoch.
        """
        self._spools = list(spools)
        self._pending = pending
        self._clock = clock
        self._waiting = asyncio.Event()
        if any(map(len, self._spools)):
            self._waiting.set()

    def __len__(self) -> int:
        """Return how many statements wait for Redis."""
        return sum(map(len, self._spools))

    async def add_all(self, items: Sequence[PendingItem]) -> None:
        """Return once statements are on the disk. Raises StoreUnavailable where the disk does not take them."""
        await self._append([pack_item(item) for item in items])

    async def add_retraction(self, retraction: PendingRetraction) -> None:
        """Return once it is on the disk. Raises StoreUnavailable where the disk does not take it."""
        await self._append([retraction.pack()])

    async def _append(self, packed: Sequence[bytes]) -> None:
        self._write(packed)
        self._waiting.set()
        try:
            await asyncio.to_thread(self._spools[0].sync)
        except OSError as error:
            raise StoreUnavailable(f"Redis is away, and the spool cannot be synced: {error.strerror}.") from error

    def _write(self, packed: Sequence[bytes]) -> None:
        try:
            self._spools[0].append(packed)
        except SpoolFull as error:
            raise StoreUnavailable(f"Redis is away, and {error}. Try again later.") from error

    async def run(self, retract: Callable[[PendingRetraction], Awaitable[bool]]) -> None:
        """Hand on what waits as soon as Redis takes it, until cancelled; then close the spools.

        `retract` takes a statement back, and returns whether it is done with; if not, it is asked again a little later.
        """
        try:
            while True:
                await self._waiting.wait()
                try:
                    for spool in self._spools:
                        await self._hand_on(spool, retract)
                except StoreUnavailable:
                    await asyncio.sleep(_AGAIN_S)
                    continue
                if any(map(len, self._spools)):  # retractions of what is not found yet
                    await asyncio.sleep(_AGAIN_S)
                else:
                    self._waiting.clear()  # in the same breath as the spools were seen empty
        finally:
            for spool in self._spools:
                spool.close()

    async def _hand_on(self, spool: Spool, retract: Callable[[PendingRetraction], Awaitable[bool]]) -> None:
        """Put what waits where the learner looks for it. Raises StoreUnavailable, with the rest still waiting."""
        left = len(spool)  # what is appended meanwhile has its turn next time
        while left:
            batch = spool.peek(min(left, _BATCH))
            left -= len(batch)
            for data in batch:
                await self._hand_on_one(data, retract)
                spool.drop([data])

    async def _hand_on_one(self, data: bytes, retract: Callable[[PendingRetraction], Awaitable[bool]]) -> None:
        now = self._clock()
        retraction = unpack_retraction(data)
        item = unpack_item(data, held_at=now) if retraction is None else None
        if retraction is not None:
            retraction = retraction.held_since(now)
            if not await retract(retraction):
                self._write([retraction.pack()])
        elif item is not None:
            await self._pending.add_all([item])
        else:
            log.error("a statement of the spool cannot be read, and is dropped")
