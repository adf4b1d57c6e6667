"""Statements under clients' own ids that come while Redis is away: on this machine's disk until it is back."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.intake.pending import PendingFeedback, PendingItem, pack_item, unpack_item
from highwayman.feedback.log.spool import Spool, SpoolFull

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
        try:
            self._spools[0].append([pack_item(item) for item in items])
            self._waiting.set()
            await asyncio.to_thread(self._spools[0].sync)
        except SpoolFull as error:
            raise StoreUnavailable(f"Redis is away, and {error}. Try again later.") from error
        except OSError as error:
            raise StoreUnavailable(f"Redis is away, and the spool cannot be synced: {error.strerror}.") from error

    async def run(self) -> None:
        """Hand on what waits as soon as Redis takes it, until cancelled; then close the spools."""
        try:
            while True:
                await self._waiting.wait()
                try:
                    await self._hand_on()
                except StoreUnavailable:
                    await asyncio.sleep(_AGAIN_S)
        finally:
            for spool in self._spools:
                spool.close()

    async def _hand_on(self) -> None:
        """Put what waits where the learner looks for it. Raises StoreUnavailable, with the rest still waiting."""
        for spool in self._spools:
            while len(spool):
                for data in spool.peek(_BATCH):
                    item = unpack_item(data, held_at=self._clock())
                    if item is None:
                        log.error("a statement of the spool cannot be read, and is dropped")
                    else:
                        await self._pending.add_all([item])
                    spool.drop([data])
        self._waiting.clear()  # in the same breath as the spools were seen empty
