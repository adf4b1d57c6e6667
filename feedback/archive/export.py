"""Copying the log into an archive: in parts of bounded size, and on from the last one when it was stopped."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from highwayman.feedback.archive.archive import Archive
from highwayman.feedback.archive.manifest import ArchiveManifest, Gap
from highwayman.feedback.archive.rows import Row
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention

PART_EVENTS = 50_000
PART_BYTES = 32 * 2**20  # of events: prompts may be long
SETTLE_S = 2.0  # a server that dies may lose the end of its log, and writers then write it again


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export came to."""

    events: int
    parts: int
    last: EventId  # where the archive ends now
    gaps: tuple[Gap, ...]  # what had left the log before this export could read it


async def export(
    retention: Retention, archive: Archive, *, store: Store, namespace: str, upto_age_s: float = SETTLE_S,
    part_events: int = PART_EVENTS, clock: Callable[[], float] = time.time,
) -> ExportResult:  # fmt: skip
    """Put into the archive what the log has had after the archive's end until now, and mark it as exported.

    Stopped at any point, it leaves whole parts, and the next export goes on behind them.

    Args:
        retention: of the log.
        archive: one for this namespace alone.
        store: the same log, for what has left it.
        namespace: of the log.
        upto_age_s: an event goes into the archive when it is that old, in seconds; for the newest ones it waits.
        part_events: at most so many go into a part.
        clock: seconds since the epoch.

    Raises:
        ArchiveError: the folder holds another namespace, a damaged part or one of another version, or is in use.
        ConfigError: pyarrow is missing.
        StoreUnavailable: Redis does not answer.
    """
    with archive.exclusive():
        manifest = ArchiveManifest(archive)
        manifest.claim(namespace)
        archive.check()
        exporting = _Exporting(retention, archive, part_events)
        await retention.mark_exported(exporting.read)
        upto = await _settled(retention, upto_age_s, clock)
        async for page in retention.scan(exporting.read, upto=upto):
            await exporting.look_for_gap(store, manifest, page[0][0])
            for row in page:
                await exporting.take(row)
        await exporting.put()
        await exporting.look_for_gap(store, manifest, None)
    return ExportResult(exporting.events, exporting.parts, archive.last(), tuple(exporting.gaps))


class _Exporting:
    """One export, at one point of the log."""

    def __init__(self, retention: Retention, archive: Archive, part_events: int) -> None:
        self._retention = retention
        self._archive = archive
        self._part_events = part_events
        self._waiting: list[Row] = []
        self._size = 0
        self.read = archive.last()
        self.events = self.parts = 0
        self.gaps: list[Gap] = []

    async def take(self, row: Row) -> None:
        """Take the next event, having put down those before it if they are enough for a part."""
        if len(self._waiting) >= self._part_events or self._size + len(row[1]) > PART_BYTES:
            await self.put()
        self._waiting.append(row)
        self._size += len(row[1])
        self.read = row[0]

    async def put(self) -> None:
        """Write the events taken as a part, and mark them as exported."""
        if self._waiting:
            self._archive.append(self._waiting)
            await self._retention.mark_exported(self._waiting[-1][0])
            self.parts += 1
            self.events += len(self._waiting)
            self._waiting, self._size = [], 0

    async def look_for_gap(self, store: Store, manifest: ArchiveManifest, following: EventId | None) -> None:
        """Note what was trimmed between what was read and the event `following` it, None for the end.

        Asked for after reading, the mark knows of everything that can have been missing.
        """
        trimmed = await store.trimmed_upto()
        if sort_key(self.read) < sort_key(trimmed) and (following is None or sort_key(trimmed) < sort_key(following)):
            self.gaps.append(Gap(self.read, trimmed))
            manifest.add_gap(self.gaps[-1])


async def _settled(retention: Retention, age_s: float, clock: Callable[[], float]) -> EventId:
    """Return the log's last event when it is `age_s` seconds old."""
    last = await retention.last()
    left_s = age_s - (clock() - sort_key(last)[0] / 1000)
    if last != START and left_s > 0:
        await asyncio.sleep(min(left_s, age_s))
    return last
