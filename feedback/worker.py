"""The learner's shell: takes the lease, reads the log, lets the learner fold, publishes. Nothing is decided here."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from highwayman.env.errors import SnapshotError, StoreUnavailable
from highwayman.feedback.events import BadEvent, Event, decode, subject
from highwayman.feedback.join import START, EventId
from highwayman.feedback.learner import Entry, Learner, Rewind, looks_back
from highwayman.feedback.publications import Publications
from highwayman.feedback.store import LogCutShort, Store
from highwayman.feedback.versions import EVERY_S, About, Versions, about_json

_HOLD_S = 5.0  # a learner that is silent for this long may be replaced
_BATCH = 1000
_SLICE = 50  # events folded before others on the event loop get their turn
_RENEW_S = 1.0
_BLOCK_S = 0.5
_GATHER_S = 0.15
_PAUSE_S = 0.5  # after Redis was gone, or while another learner holds the lease

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks in seconds: since the epoch, and monotonic."""

    wall: Callable[[], float]
    steady: Callable[[], float]


async def no_chores() -> None:
    """Do nothing."""


class Worker:
    """Folds one lineage's log for as long as it holds the lease, and stands by otherwise."""

    def __init__(
        self,
        store: Store,
        publications: Publications,
        versions: Versions,
        make_learner: Callable[[], Learner],
        *,
        holder: str,
        clocks: Clocks,
        chores: Callable[[], Awaitable[None]] = no_chores,
    ) -> None:
        """Take its parts.

        Args:
            store: holds the log.
            publications: of the lineage to learn.
            versions: of the same lineage, kept for a rollback.
            make_learner: returns a learner at the start of the log.
            holder: a name for the lease that nobody else has.
            clocks: to renew by, and to date what is published.
            chores: called about every second by whoever holds the lease.
        """
        self._store = store
        self._publications = publications
        self._versions = versions
        self._make_learner = make_learner
        self._name = holder
        self._holder = holder
        self._clocks = clocks
        self._chores = chores
        self._kept_at = 0.0
        self.learner: Learner | None = None  # while it holds the lease

    async def run(self) -> None:
        """Learn until cancelled; Redis going away, or another learner taking over, is waited out."""
        waiting = False
        try:
            while True:
                # Whoever begins again is somebody else to the lease: publications of two turns are told apart.
                self._holder = f"{self._name}:{secrets.token_hex(4)}"
                try:
                    await self._turn()
                    waiting = False
                except LogCutShort as error:
                    log.warning("%s; going on from what is published", error)
                    continue
                except StoreUnavailable as error:
                    if not waiting:
                        log.warning("learner waits: %s", error)
                    waiting = True
                finally:
                    self.learner = None
                    await asyncio.shield(self._give_up())
                await asyncio.sleep(_PAUSE_S)
        finally:
            await asyncio.shield(self._give_up())

    async def _turn(self) -> None:
        """Learn from the newest publication on until the lease is lost. Raises StoreUnavailable."""
        epoch = await self._publications.acquire(self._holder, hold_s=_HOLD_S)
        if epoch is None:
            return
        self.learner, unpublished = await self._resumed()
        policy_changed, anchored = unpublished, False
        renew_at = self._clocks.steady() + _RENEW_S
        while True:
            if self._clocks.steady() >= renew_at:
                if await self._publications.acquire(self._holder, hold_s=_HOLD_S) != epoch:
                    return
                await self._chores()
                renew_at = self._clocks.steady() + _RENEW_S
            if unpublished:
                if not await self._published(epoch, policy_changed=policy_changed, anchored=anchored):
                    return
                unpublished = policy_changed = False
            found = await self._store.read(self.learner.position, count=_BATCH, block_s=_BLOCK_S, anchored=anchored)
            if found:
                policy_changed |= await self._folded(found)
                unpublished = anchored = True
            if 0 < len(found) < _BATCH:
                await asyncio.sleep(_GATHER_S)  # folding and publishing many events at once costs as much as one

    async def _resumed(self) -> tuple[Learner, bool]:
        """Return a learner at the newest publication, and whether what it knows is still to be published.

        Where there is no publication, or none that can be used, it is one at the log's start.
        """
        learner = self._make_learner()
        found = await self._publications.load()
        if found is None:
            return learner, True
        try:
            learner.restore(found.snapshot)
        except SnapshotError as error:
            log.error("published state cannot be used (%s); learning the whole log again", error)
            return self._make_learner(), True
        return learner, learner.snapshot().tally != found.snapshot.tally  # another pool: arms were added

    async def _published(self, epoch: str, *, policy_changed: bool, anchored: bool) -> bool:
        """Publish what the learner knows; return False if the lease or the log's end is lost."""
        learner = self._learner()
        snapshot = await asyncio.to_thread(learner.snapshot)
        now = self._clocks.wall()
        keep = policy_changed and now - self._kept_at >= EVERY_S
        counts = learner.tally.totals()
        about = About(0, now, snapshot.position, counts.decisions, counts.feedback)
        version = await self._publications.publish(
            snapshot,
            epoch=epoch,
            holder=self._holder,
            at=now,
            policy_changed=policy_changed,
            about=about_json(about) if keep else "",
            anchored=anchored,
        )
        if version is not None and keep:
            self._kept_at = now
            await self._versions.thin()
        return version is not None

    async def _folded(self, found: Sequence[tuple[EventId, bytes, bool]]) -> bool:
        """Fold what was read; return whether the policy learned."""
        learned = False
        raw = {event_id: data for event_id, data, _ in found}
        rest = await self._entries(found)
        while rest:
            step = self._learner().step(rest[:_SLICE])
            learned |= step.learned
            await self._put_aside(raw, step.refused)
            if step.rewind is None:
                rest = rest[_SLICE:]
            elif await self._rewound(step.rewind):
                return True
            else:
                await self._put_aside(raw, [(step.rewind.at, "no version kept, nor the log's start, to go back to")])
                self._learner().position = step.rewind.at
            await asyncio.sleep(0)
        self._learner().position = found[-1][0]  # also past those that could not be read
        return learned

    async def _rewound(self, rewind: Rewind) -> bool:
        """Go back as told; return False where neither a kept version nor the log's start is there to go back to."""
        learner = self._make_learner()
        kept = await self._versions.at_or_before(rewind.position)
        if kept is not None:
            learner.restore(kept.snapshot)
        elif await self._store.trimmed() != START:
            return False
        learner.voids = rewind.voids
        log.warning("rolled back to %s", learner.position)
        self.learner = learner
        return True

    def _learner(self) -> Learner:
        if self.learner is None:
            raise StoreUnavailable("the lease was given up")
        return self.learner

    async def _entries(self, found: Sequence[tuple[EventId, bytes, bool]]) -> list[Entry]:
        """Return the events that can be read, with the records they need; the others are put aside."""
        events: list[tuple[EventId, Event, str | None]] = []
        unreadable: list[tuple[EventId, str]] = []
        for event_id, data, filed_before in found:
            try:
                event = decode(data)
            except BadEvent as error:
                unreadable.append((event_id, str(error)))
                continue
            events.append((event_id, event, subject(event) if filed_before or looks_back(event) else None))
        await self._put_aside({event_id: data for event_id, data, _ in found}, unreadable)
        records = await self._store.records([name for _, _, name in events if name is not None])
        return [Entry(event_id, event, records.get(name) if name else None) for event_id, event, name in events]

    async def _put_aside(self, found: Mapping[EventId, bytes], refused: Sequence[tuple[EventId, str]]) -> None:
        """Keep events that could not be folded where a person will find them."""
        for event_id, why in refused:
            log.error("event %s put aside: %s", event_id, why)
            await self._store.bury(event_id, found[event_id], why)

    async def _give_up(self) -> None:
        try:
            await self._publications.release(self._holder)
        except StoreUnavailable:
            log.debug("the learner's lease runs out by itself")
