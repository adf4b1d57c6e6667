"""Versions kept for a rollback: dense in the last minutes, sparser the older they are."""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import redis.asyncio as aioredis

from highwayman.env.errors import SnapshotError
from highwayman.feedback.learning.publications import Published, parse_publication
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.store import Keys

KEPT = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What a kept version had learned."""

    version: int
    at: float  # seconds since the epoch
    position: EventId
    decisions: int
    feedback: int
    note: str = ""


class VersionHistory:
    """The kept versions of one lineage."""

    def __init__(self, client: "aioredis.Redis", namespace: str, lineage: str) -> None:
        """Take a client, the namespace and the lineage."""
        keys = Keys(namespace)
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._versions, self._about = keys("versions", lineage), keys("about", lineage)

    async def all(self) -> list[VersionInfo]:
        """Return what is kept, oldest first."""
        with redis_errors():
            fields = await self._client.hgetall(self._about)
        kept = [info for version, data in fields.items() if (info := _about(version, data)) is not None]
        return sorted(kept, key=lambda info: info.version)

    async def load(self, version: int) -> Published | None:
        """Return the kept version, or None. Raises SnapshotError if it is damaged."""
        with redis_errors():
            data = await self._client.hget(self._versions, str(version))
        if data is None:
            return None
        try:
            flat: Any = msgpack.unpackb(data, raw=True)
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
        except (TypeError, ValueError, msgpack.UnpackException) as error:
            raise SnapshotError(f"version {version} is damaged: {type(error).__name__}") from error
        return parse_publication(fields)

    async def before(self, position: EventId | None) -> AsyncIterator[Published]:
        """Yield the kept versions that had folded nothing beyond `position` (None: all), the newest first.

        Damaged ones are logged and passed over.
        """
        for info in reversed(await self.all()):
            if position is not None and sort_key(info.position) > sort_key(position):
                continue
            try:
                published = await self.load(info.version)
            except SnapshotError as error:
                log.error("kept version %d is passed over: %s", info.version, error)
                continue
            if published is not None:
                yield published

    async def thin(self) -> None:
        """Drop versions until `KEPT` are left, so that their ages stay spread evenly on a log scale."""
        kept = await self.all()
        await self.drop(versions_to_drop(kept, keep=KEPT))

    async def drop_before(self, position: EventId) -> None:
        """Forget versions that had not folded the log up to `position`."""
        await self.drop([info.version for info in await self.all() if sort_key(info.position) < sort_key(position)])

    async def drop(self, versions: Sequence[int]) -> None:
        """Forget these versions."""
        if versions:
            names = [str(version) for version in versions]
            with redis_errors():
                await self._client.hdel(self._versions, *names)
                await self._client.hdel(self._about, *names)


def _about(version: bytes, data: bytes) -> VersionInfo | None:
    """Return what is recorded of a kept version, None where that is damaged, which is logged."""
    try:
        info = VersionInfo(version=int(version), **json.loads(data))
        sort_key(info.position)
    except (AttributeError, TypeError, ValueError) as error:
        log.error("kept version %r is passed over: %s", version, type(error).__name__)
        return None
    return info


def version_info_json(info: VersionInfo) -> str:
    """Return what `Publications.publish` takes to keep a version."""
    return json.dumps(
        {"at": info.at, "position": info.position, "decisions": info.decisions, "feedback": info.feedback,
         "note": info.note}
    )  # fmt: skip


def versions_to_drop(kept: Sequence[VersionInfo], *, keep: int) -> list[int]:
    """Return which of `kept`, oldest first, to drop: again and again the one whose neighbours are closest in age.

    Close is meant relative to age, so the newest stay dense and the oldest reach back far; the ends are never dropped.
    """
    remaining, dropped = list(kept), []
    while len(remaining) > max(keep, 2):
        now = remaining[-1].at + 1.0
        ratios = [(now - remaining[k - 1].at) / (now - remaining[k + 1].at) for k in range(1, len(remaining) - 1)]
        dropped.append(remaining.pop(1 + ratios.index(min(ratios))).version)
    return dropped
