"""How long the log keeps what it holds: export marks, trimming, and taking single decisions off it."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.types import Control, ControlKind
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.feedback.log.events import decision_id_in, encode
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import GRACE_S, Keys

_PAGE = 1000


class Retention:
    """Reads the log from end to end, and shortens it."""

    def __init__(self, client: "aioredis.Redis", namespace: str, *, window_s: int) -> None:
        """Take a client, the namespace, and how long a decision takes feedback, in seconds."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._keys = Keys(namespace)
        self._log = self._keys("log")
        self._window_s = window_s
        self._scripts = Scripts(client, "put_erasure", "put_quarantine", "forget")

    async def scan(self, after: EventId, *, upto: EventId = "+") -> AsyncIterator[list[tuple[EventId, bytes, bool]]]:
        """Yield the log after `after` up to and with `upto`, a page at a time, as `Store.read` returns it."""
        while True:
            with redis_errors():
                page = await self._client.xrange(self._log, f"({after}", upto, count=_PAGE)
            if not page:
                return
            yield [(event_id.decode(), bytes(fields[b"e"]), b"j" in fields) for event_id, fields in page]
            after = page[-1][0].decode()

    async def last(self) -> EventId:
        """Return the id of the log's newest event, `START` if it is empty."""
        with redis_errors():
            newest = await self._client.xrevrange(self._log, count=1)
        return newest[0][0].decode() if newest else START

    async def length(self) -> int:
        """Return how many events the log holds."""
        with redis_errors():
            return int(await self._client.xlen(self._log))

    async def exported_upto(self) -> EventId:
        """Return the last event that was exported, `START` before the first."""
        return await self._mark("exported")

    async def mark_exported(self, event_id: EventId) -> None:
        """Record that everything up to `event_id` is in an archive."""
        with redis_errors():
            await self._client.set(self._keys("exported"), event_id)

    async def positions(self) -> dict[str, EventId]:
        """Return by lineage how far its published state has folded the log."""
        with redis_errors():
            lineages = sorted(name.decode() for name in await self._client.smembers(self._keys("lineages")))
            positions = [await self._client.hget(self._keys("policy", lineage), "position") for lineage in lineages]
        return {lineage: _position(at) for lineage, at in zip(lineages, positions, strict=True) if at is not None}

    async def drop_lineage(self, lineage: str) -> None:
        """Forget what a lineage has learned; used again, it is folded anew from the log."""
        names = [self._keys(kind, lineage) for kind in ("policy", "versions", "about")]
        with redis_errors():
            await self._client.delete(*names)
            await self._client.srem(self._keys("lineages"), lineage)

    async def trim(self, *, keep_s: float, now: float, exported_only: bool, lineage: str) -> int:
        """Take off the log what is older than `keep_s` seconds; return how many events went.

        What may still get feedback stays, and a day more, as records do: feedback that came at the last moment may
        still have to be folded. So does what `lineage` has not folded yet; with `exported_only` also what is in no
        archive. Another lineage that has not folded so far is behind for good: it folds what is left.
        """
        limit = f"{max(int((now - max(keep_s, self._window_s + GRACE_S)) * 1000), 0)}-0"
        ends = [limit, (await self.positions()).get(lineage, START)]
        if exported_only:
            ends.append(await self.exported_upto())
        end = min(ends, key=sort_key)
        if sort_key(end) <= sort_key(await self._mark("trimmed")):
            return 0
        with redis_errors():
            last_gone = await self._client.xrevrange(self._log, f"({end}", count=1)
            if not last_gone:
                return 0
            # Marked first: a reader that finds the log shorter can read in the mark why.
            await self._client.set(self._keys("trimmed"), last_gone[0][0])
            return int(await self._client.xtrim(self._log, minid=end, approximate=False))

    async def put_erasure(
        self, decision_id: str, *, feedback: Sequence[str], known: Sequence[bytes | str], at: float
    ) -> EventId:
        """Append the erasure of a decision, or of some feedback on it, and mark its record; return the event's id.

        Args:
            decision_id: of the decision; erased as a whole, it takes nothing more.
            feedback: ids of the feedback to erase; none: everything.
            known: names and values of the record's fields, for a record that has expired.
            at: seconds since the epoch.
        """
        event = Control(at, ControlKind.ERASURE, {"decision": decision_id, "feedback": list(feedback)})
        keys = [self._log, self._keys("d", decision_id), self._keys("open")]
        args = [encode(event), decision_id, 2 * self._window_s, len(feedback), *feedback, *known]
        return str((await self._scripts.call("put_erasure", keys, args)).decode())

    async def put_quarantine(
        self, decision_id: str, *, toggles: Mapping[str, int], known: Sequence[bytes | str], at: float
    ) -> EventId | None:
        """Append that some feedback on a decision is quarantined or released; return the event's id.

        Args:
            decision_id: of the decision.
            toggles: by the feedback's id, how often it has been turned so far; None is returned, and nothing written,
                where that is no longer so.
            known: names and values of the record's fields, for a record that has expired.
            at: seconds since the epoch.
        """
        event = Control(at, ControlKind.QUARANTINE, {"decision": decision_id, "feedback": list(toggles)})
        pairs = [part for pair in toggles.items() for part in pair]
        args = [encode(event), 2 * self._window_s, len(toggles), *pairs, *known]
        event_id = await self._scripts.call("put_quarantine", [self._log, self._keys("d", decision_id)], args)
        return None if event_id is None else str(event_id.decode())

    async def forget(self, decision_id: str, *, feedback: Sequence[str], event_ids: Sequence[EventId]) -> int:
        """Take erased events off the log and out of their decision's record, at once; return how many events went."""
        keys = [self._log, self._keys("d", decision_id)]
        return int(await self._scripts.call("forget", keys, [len(feedback), *feedback, *event_ids]))

    async def forget_dead(self, decision_ids: Collection[str]) -> int:
        """Remove the dead letters about these decisions; return how many went."""
        key = self._keys("dead")
        with redis_errors():
            entries = await self._client.xrange(key)
            entry_ids = [
                entry_id for entry_id, fields in entries if decision_id_in(fields.get(b"e", b"")) in decision_ids
            ]
            return int(await self._client.xdel(key, *entry_ids)) if entry_ids else 0

    async def has_learner(self, lineage: str) -> bool:
        """Return whether some learner holds the lineage's lease."""
        with redis_errors():
            return bool(await self._client.exists(self._keys("lease", lineage)))

    async def _mark(self, name: str) -> EventId:
        with redis_errors():
            event_id = await self._client.get(self._keys(name))
        return event_id.decode() if event_id else START


def _position(data: bytes) -> EventId:
    """Return the position, the log's start where it is damaged: a learner will find that out and begin there."""
    position = data.decode(errors="replace")
    try:
        sort_key(position)
    except ValueError:
        return START
    return position
