"""One learner's time with the lease: what is published is taken up, the log folded on, the result published."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from highwayman.bandit.drift.change_monitor import ChangeMonitors
from highwayman.env.errors import SnapshotError
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import DEFAULT_TENANT, Control, Feedback
from highwayman.feedback.fold.learner import Learner, LogEntry, Rewind, Snapshot
from highwayman.feedback.fold.rollbacks import VoidedRange
from highwayman.feedback.learning.log_tail import LogRow, LogTail
from highwayman.feedback.learning.publications import Publications, digest_of
from highwayman.feedback.learning.version_history import VersionHistory, VersionInfo, version_info_json
from highwayman.feedback.log.event_id import START, EventId
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.abuse_monitor import AbuseMonitor

_PART = 100  # events decoded, and their records asked for, before others on the event loop get their turn
_SLICE = 50  # events folded before they do, if the policy learned from any of them

log = logging.getLogger(__name__)

LogPage = Sequence[LogRow]


@dataclass(frozen=True, slots=True)
class LearnerDependencies:
    """What a learner works with: the log, the lineage's publications and kept versions, and a learner at the start."""

    store: Store
    publications: Publications
    versions: VersionHistory
    make_learner: Callable[[], Learner]
    keep_every_s: float = 60.0  # a version is kept for a rollback at most this often
    false_alarm_every: float | None = None  # rounds between two false alarms that an arm has changed; None: not watched
    abuse_monitor: AbuseMonitor | None = None
    publish_every_s: float = 0.0  # what was learned is published at most this often
    change_notice_delay_s: float = 0.0  # before a notice that an arm has changed goes on the log
    tail: LogTail = field(default_factory=LogTail)  # one serves all learners of a process


class LearnerSession:
    """A learner from taking up what is published until its lease, or the end of the log, is lost."""

    def __init__(
        self, dependencies: LearnerDependencies, *, holder: str, epoch: str, wall: Callable[[], float]
    ) -> None:
        """Take the dependencies, the lease's holder and epoch, and a clock (seconds since the epoch)."""
        self._dependencies = dependencies
        self._holder = holder
        self._epoch = epoch
        self._wall = wall
        self._policy_changed = False
        self._policy_digest = ""  # of the policy published last; empty where that is not known
        self._anchored = False  # whether the event at the learner's position must be on the log
        self._kept_at = 0.0
        self._unpublished = False
        self._catching_up = False  # having gone back behind what is published: routers keep that meanwhile
        every = dependencies.false_alarm_every
        self._change_monitors = ChangeMonitors(every) if every is not None else None
        self._noticed: list[tuple[float, Control]] = []  # arms that have changed, and when that is to go on the log
        self.learner = dependencies.make_learner()

    @property
    def has_unpublished(self) -> bool:
        """Whether the learner knows something that routers should have."""
        return self._unpublished and not self._catching_up

    @property
    def has_learned(self) -> bool:
        """Whether the policy is not the one published last."""
        return self._policy_changed

    async def start(self) -> None:
        """Go on from what is published; where there is nothing, or nothing that can be used, from further back."""
        self._unpublished = self._policy_changed = True
        try:
            published = await self._dependencies.publications.load()
            if published is not None:
                self.learner.restore(published.snapshot)
                # Another pool may have brought arms of its own.
                self._policy_digest = published.policy_digest
                tally = self.learner.snapshot(with_policy=False).tally
                self._unpublished = self._policy_changed = tally != published.snapshot.tally
        except SnapshotError as error:
            self.learner = await self._from_kept_version() or self._dependencies.make_learner()
            self._catching_up = True
            log.error(
                "published state cannot be used (%s); learning the log again after %s", error, self.learner.position
            )

    async def advance(self, *, count: int, block_s: float) -> int:
        """Read and fold up to `count` events, waiting up to `block_s` for the first; return how many there were.

        Raises:
            LogTruncated: the server lost the end of its log, of which something has been folded.
        """
        await self._publish_change_notices()
        position = self.learner.position
        page = await self._read(position, count=count, block_s=block_s)
        if page:
            self._unpublished = self._anchored = True
            self._policy_changed |= await self._folded(page)
        if len(page) < count and self.learner.position in (position, *(event_id for event_id, _, _ in page[-1:])):
            self._catching_up = False  # the log's end, and no rollback on the way
        return len(page)

    async def _read(self, position: EventId, *, count: int, block_s: float) -> LogPage:
        store, anchored, tail = self._dependencies.store, self._anchored, self._dependencies.tail
        if self._catching_up:  # where the log ends must be known
            return await tail.read_alone(store, position, count=count, block_s=block_s, anchored=anchored)
        return await tail.read(self, store, position, count=count, block_s=block_s, anchored=anchored)

    async def publish(self) -> bool:
        """Publish what the learner knows; return False if the lease or the log's end is lost."""
        changed = self._policy_changed or not self._policy_digest
        snapshot, digest = await asyncio.to_thread(self._state, with_policy=changed)
        now, counts = self._wall(), self.learner.tally.totals()
        keep = self._policy_changed and now - self._kept_at >= self._dependencies.keep_every_s
        info = VersionInfo(0, now, snapshot.position, counts.decisions, counts.feedback)
        version = await self._dependencies.publications.publish(
            snapshot,
            epoch=self._epoch,
            holder=self._holder,
            at=now,
            policy_digest=digest,
            version_info=version_info_json(info) if keep else "",
            anchored=self._anchored,
        )
        if version is None:
            return False
        self._unpublished, self._policy_changed, self._policy_digest = False, False, digest
        if keep:
            self._kept_at = now
            await self._dependencies.versions.thin()
        return True

    def _state(self, *, with_policy: bool) -> tuple[Snapshot, str]:
        """Return what has been learned, with the digest of the policy that it has, or that stands."""
        snapshot = self.learner.snapshot(with_policy=with_policy)
        return snapshot, digest_of(snapshot.policy) if with_policy else self._policy_digest

    async def _folded(self, page: LogPage) -> bool:
        """Fold what was read; return whether the policy learned."""
        learned = False
        raw = {event_id: data for event_id, data, _ in page}
        async with aclosing(self._slices(page)) as slices:
            async for entries in slices:
                # What lies back was noticed before.
                self.learner.notices.monitors = None if self._catching_up else self._change_monitors
                step = self.learner.step(entries)
                learned |= step.learned
                await self._dead_letter(raw, step.rejected)
                self._noticed += [
                    (self._wall() + self._dependencies.change_notice_delay_s, control)
                    for control in step.detected_changes
                ]
                self._observe_feedback(entries)
                while step.rewind is not None:
                    if await self._rewound(step.rewind):
                        return True
                    why = "no version kept, nor the log's start, to go back to"
                    await self._dead_letter(raw, [(step.rewind.at, why)])
                    self.learner.position = step.rewind.at
                    step = self.learner.step(entries)
                    learned |= step.learned
                    await self._dead_letter(raw, step.rejected)
                if step.learned:  # which takes ten times as long as to count
                    await asyncio.sleep(0)
        self.learner.position = page[-1][0]  # also past those that could not be read
        return learned

    def _observe_feedback(self, entries: Sequence[LogEntry]) -> None:
        """Show the abuse monitor the feedback, but for what lies back."""
        monitor = self._dependencies.abuse_monitor
        if monitor is None or self._catching_up:
            return
        for entry in entries:
            if isinstance(entry.event, Feedback) and entry.record is not None:
                monitor.observe(entry.event, entry.record)

    async def _publish_change_notices(self) -> None:
        """Put arms that have changed on the log; what follows from it is learned when it is met there.

        Not at once: keys that are suspected meanwhile may have sent what the change was seen by. Then it is dropped.
        """
        suspects = (
            self._dependencies.abuse_monitor.suspected_tenants()
            if self._dependencies.abuse_monitor is not None
            else frozenset()
        )
        now, self._noticed, due = self._wall(), [], self._noticed
        for at, notice in due:
            tenant = str(notice.detail.get("tenant", DEFAULT_TENANT))
            if tenant in suspects:
                self._resume(tenant, str(notice.detail["arm"]))
                continue
            if at > now:
                self._noticed.append((at, notice))
                continue
            log.warning(
                "the answers of %s have changed; what was said of them before counts little", notice.detail["arm"]
            )
            await self._dependencies.store.append(replace(notice, at=self._wall()))

    def _resume(self, tenant: str, arm: str) -> None:
        if self._change_monitors is not None:
            self._change_monitors.for_tenant(tenant).resume(arm)

    async def _slices(self, page: LogPage) -> AsyncGenerator[list[LogEntry], None]:
        """Yield what was read in slices that hold nobody up; Redis looks the next records up while one is folded."""
        parts = [page[start : start + _PART] for start in range(0, len(page), _PART)]
        coming = asyncio.create_task(self._entries(parts[0]))
        try:
            for following in (*parts[1:], None):
                entries = await coming
                if following is not None:
                    coming = asyncio.create_task(self._entries(following))
                for start in range(0, len(entries), _SLICE):
                    yield entries[start : start + _SLICE]
        finally:
            await cancel_and_wait(coming)

    async def _from_kept_version(
        self, upto: EventId | None = None, rollbacks: Sequence[VoidedRange] | None = None
    ) -> Learner | None:
        """Return a learner at the newest kept version that can be used, None where there is none.

        Args:
            upto: what it has folded at most; None: however much.
            rollbacks: those of the log whose fold passes through it; None: as it knows them.
        """
        learner = self._dependencies.make_learner()
        async for kept in self._dependencies.versions.before(upto):
            if rollbacks is not None and not kept.snapshot.is_prefix_of(rollbacks):
                continue
            try:
                learner.restore(kept.snapshot)
                return learner
            except SnapshotError as error:
                log.error("kept version %d is passed over: %s", kept.stamp.version, error)
        return None

    async def _rewound(self, rewind: Rewind) -> bool:
        """Go back as `rewind` says; return False where neither a kept version nor the log's start is there."""
        learner = await self._from_kept_version(rewind.position, rewind.rollbacks)
        if learner is None:
            if await self._dependencies.store.trimmed_upto() != START:
                return False
            learner = self._dependencies.make_learner()
        learner.set_rollbacks(rewind.rollbacks)
        log.warning("rolled back to %s", learner.position)
        self.learner = learner
        self._anchored, self._catching_up = False, True
        return True

    async def _entries(self, page: LogPage) -> list[LogEntry]:
        """Return the events that can be read, with the records they need; the others are dead letters."""
        entries, unreadable = await self._dependencies.tail.entries(self._dependencies.store, page)
        if unreadable:
            await self._dead_letter({event_id: data for event_id, data, _ in page}, unreadable)
        return entries

    async def _dead_letter(self, raw: Mapping[EventId, bytes], refused: Sequence[tuple[EventId, str]]) -> None:
        """Keep events that could not be folded as dead letters, where a person will find them."""
        for event_id, why in refused:
            log.error("event %s is a dead letter: %s", event_id, why)
            await self._dependencies.store.dead_letter(event_id, raw[event_id], why)
