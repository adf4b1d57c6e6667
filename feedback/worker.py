"""The learner's shell: takes the lease, reads the log, lets the learner fold, publishes. Nothing is decided here."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeGuard

from highwayman.env.errors import SnapshotError, StoreUnavailable
from highwayman.env.types import Feedback, Outcome
from highwayman.feedback.events import BadEvent, Event, decode
from highwayman.feedback.join import EventId
from highwayman.feedback.learner import Entry, Learner
from highwayman.feedback.publications import Publications
from highwayman.feedback.store import Store

_HOLD_S = 5.0  # a learner that is silent for this long may be replaced
_BATCH = 1000
_RENEW_S = 1.0
_BLOCK_S = 0.5
_GATHER_S = 0.15
_PAUSE_S = 0.5  # after Redis was gone, or while another learner holds the lease

log = logging.getLogger(__name__)


class Worker:
    """Folds one lineage's log for as long as it holds the lease, and stands by otherwise."""

    def __init__(
        self,
        store: Store,
        publications: Publications,
        make_learner: Callable[[], Learner],
        *,
        holder: str,
        clock: Callable[[], float],
    ) -> None:
        """Take its parts.

        Args:
            store: holds the log.
            publications: of the lineage to learn.
            make_learner: returns a learner at the start of the log.
            holder: a name for the lease that nobody else has.
            clock: monotonic, in seconds.
        """
        self._store = store
        self._publications = publications
        self._make_learner = make_learner
        self._holder = holder
        self._clock = clock

    async def run(self) -> None:
        """Learn until cancelled; Redis going away, or another learner taking over, is waited out."""
        try:
            while True:
                try:
                    await self._turn()
                except StoreUnavailable as error:
                    log.warning("learner waits: %s", error)
                await asyncio.sleep(_PAUSE_S)
        finally:
            await asyncio.shield(self._give_up())

    async def _turn(self) -> None:
        """Learn from the newest publication on until the lease is lost. Raises StoreUnavailable."""
        epoch = await self._publications.acquire(self._holder, hold_s=_HOLD_S)
        if epoch is None:
            return
        learner = await self._resumed()
        unpublished = policy_changed = True
        renew_at = self._clock() + _RENEW_S
        while True:
            if self._clock() >= renew_at:
                if await self._publications.acquire(self._holder, hold_s=_HOLD_S) != epoch:
                    return
                renew_at = self._clock() + _RENEW_S
            if unpublished:
                if not await self._publications.publish(learner.snapshot(), epoch, policy_changed=policy_changed):
                    return
                unpublished = policy_changed = False
            found = await self._store.read(learner.position, count=_BATCH, block_s=_BLOCK_S)
            if found:
                step = learner.step(await self._entries(found))
                await self._put_aside(dict(found), step.refused)
                learner.position = found[-1][0]  # also past those that could not be read
                policy_changed |= step.learned
                unpublished = True
            if 0 < len(found) < _BATCH:
                await asyncio.sleep(_GATHER_S)  # folding and publishing many events at once costs as much as one

    async def _resumed(self) -> Learner:
        """Return a learner at the newest publication, or at the log's start where there is none that can be used."""
        learner = self._make_learner()
        published = await self._publications.load()
        if published is not None:
            try:
                learner.restore(published.snapshot)
            except SnapshotError as error:
                log.error("published state cannot be used (%s); learning the whole log again", error)
                learner = self._make_learner()
        return learner

    async def _entries(self, found: Sequence[tuple[EventId, bytes]]) -> list[Entry]:
        """Return the events that can be read, with the records they need; the others are put aside."""
        events: list[tuple[EventId, Event]] = []
        unreadable: list[tuple[EventId, str]] = []
        for event_id, data in found:
            try:
                events.append((event_id, decode(data)))
            except BadEvent as error:
                unreadable.append((event_id, str(error)))
        await self._put_aside(dict(found), unreadable)
        records = await self._store.records([event.decision_id for _, event in events if _looks_back(event)])
        return [
            Entry(event_id, event, records.get(event.decision_id) if _looks_back(event) else None)
            for event_id, event in events
        ]

    async def _put_aside(self, found: Mapping[EventId, bytes], refused: Sequence[tuple[EventId, str]]) -> None:
        """Keep events that could not be folded where a person will find them."""
        for event_id, why in refused:
            log.error("event %s put aside: %s", event_id, why)
            await self._store.bury(event_id, found[event_id], why)

    async def _give_up(self) -> None:
        try:
            await self._publications.release(self._holder)
        except StoreUnavailable:
            log.warning("the learner's lease runs out by itself")


def _looks_back(event: Event) -> TypeGuard[Outcome | Feedback]:
    """Return whether the fold of `event` depends on what else is known of its decision.

    An outcome only matters to feedback that came before it, and only if another arm than the intended one served;
    that takes more than one attempt.
    """
    return isinstance(event, Feedback) or (isinstance(event, Outcome) and event.attempts > 1)
