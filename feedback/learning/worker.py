"""The learner's shell: takes the lease, and turn by turn lets a learner fold the log. Nothing is decided here."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.log.store import LogTruncated

_HOLD_S = 5.0  # a learner that is silent for this long may be replaced
_BATCH = 1000
_RENEW_S = 1.0
_BLOCK_S = 0.5
_GATHER_S = 0.15
_GATHERS = 4  # times at least between two publications: who publishes seldom need not read often
_TALLY_EVERY_S = 1.0  # between publications while the policy stands: counts may wait, what was learned does not
_PAUSE_S = 0.5  # after Redis was gone, or while another learner holds the lease

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks in seconds: since the epoch, and monotonic."""

    wall: Callable[[], float]
    steady: Callable[[], float]


async def no_maintenance() -> None:
    """Do nothing."""


class Worker:
    """Folds one lineage's log for as long as it holds the lease, and stands by otherwise."""

    def __init__(
        self,
        dependencies: LearnerDependencies,
        *,
        holder: str,
        clocks: Clocks,
        maintenance: Callable[[], Awaitable[None]] = no_maintenance,
    ) -> None:
        """Take its parts.

        Args:
            dependencies: of the lineage to learn.
            holder: a name for the lease that nobody else has.
            clocks: to date what is published, and to renew by.
            maintenance: called about every second by whoever holds the lease.
        """
        self._dependencies = dependencies
        self._name = holder
        self._clocks = clocks
        self._maintenance = maintenance

    async def run(self) -> None:
        """Learn until cancelled; Redis going away, or another learner taking over, is waited out."""
        waiting = False
        while True:
            # Whoever begins again is somebody else to the lease: publications of two turns are told apart.
            holder = f"{self._name}:{secrets.token_hex(4)}"
            try:
                await self._run_session(holder)
                waiting = False
            except LogTruncated as error:
                log.warning("%s; going on from what is published", error)
                continue
            except StoreUnavailable as error:
                if not waiting:
                    log.warning("learner waits: %s", error)
                waiting = True
            finally:
                await asyncio.shield(self._give_up(holder))
            await asyncio.sleep(_PAUSE_S)

    async def _run_session(self, holder: str) -> None:
        """Learn from the newest publication on until the lease is lost. Raises StoreUnavailable."""
        publications = self._dependencies.publications
        epoch = await publications.acquire(holder, hold_s=_HOLD_S)
        if epoch is None:
            return
        session = LearnerSession(self._dependencies, holder=holder, epoch=epoch, wall=self._clocks.wall)
        await session.start()
        gather_s = max(_GATHER_S, self._dependencies.publish_every_s / _GATHERS)
        renew_at, tally_due_at, learned_due_at = self._clocks.steady(), 0.0, 0.0
        while True:
            if self._clocks.steady() >= renew_at:
                if await publications.acquire(holder, hold_s=_HOLD_S) != epoch:
                    return
                await self._maintenance()
                renew_at = self._clocks.steady() + _RENEW_S
            due_at = learned_due_at if session.has_learned else tally_due_at
            if session.has_unpublished and self._clocks.steady() >= due_at:
                if not await session.publish():
                    return
                learned_due_at = self._clocks.steady() + self._dependencies.publish_every_s
                tally_due_at = max(self._clocks.steady() + _TALLY_EVERY_S, learned_due_at)
            wait_s = tally_due_at - self._clocks.steady() if session.has_unpublished else _BLOCK_S
            read = await session.advance(count=_BATCH, block_s=min(max(wait_s, 0.0), _BLOCK_S))
            if 0 < read < _BATCH:
                await asyncio.sleep(gather_s)  # folding and publishing many events at once costs as much as one

    async def _give_up(self, holder: str) -> None:
        try:
            await self._dependencies.publications.release(holder)
        except StoreUnavailable:
            log.debug("the learner's lease runs out by itself")
