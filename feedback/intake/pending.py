"""Feedback that came before the decision it is about: held until that is there, or too late."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgpack
import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Feedback
from highwayman.feedback.intake.feedback_ids import link_of
from highwayman.feedback.intake.targets import answered, may_mean
from highwayman.feedback.log.events import BadEvent, decode, encode
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.store import Keys, Store

_MOST = 10_000
_TOGETHER = 100  # statements whose decisions are looked for in one round trip


@dataclass(frozen=True, slots=True)
class PendingItem:
    """A statement whose decision is not known yet, and the names under which it may be found."""

    feedback: Feedback  # its decision id is empty
    links: tuple[str, ...]
    held_at: float | None = None  # since when it waits here, seconds since the epoch; None: since it was said

    def held_s(self, now: float) -> float:
        """Return for how long its decision could have been found."""
        return now - (self.feedback.at if self.held_at is None else self.held_at)


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """How many statements of a namespace wait for their decisions now, and what has become of all that did."""

    waiting: int = 0
    held: int = 0
    joined: int = 0  # filed, as their decisions came
    expired: int = 0  # their decisions never came
    withdrawn: int = 0  # taken back by who said them


class PendingFeedback:
    """The statements of a namespace that wait for their decisions."""

    def __init__(self, client: "aioredis.Redis", namespace: str, store: Store, *, keep_s: float) -> None:
        """Take a client, the namespace, its store, and how long a statement waits, in seconds."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._key = Keys(namespace)("held")
        self._counts_key = Keys(namespace)("held_counts")
        self._store = store
        self.keep_s = keep_s

    async def add_all(self, items: Sequence[PendingItem]) -> None:
        """Keep statements. Raises StoreUnavailable where too many would wait, or Redis does not answer."""
        entries = {item.feedback.id: pack_item(item) for item in items}
        with redis_errors():
            if int(await self._client.hlen(self._key)) + len(entries) > _MOST:
                raise StoreUnavailable(f"{_MOST} statements wait for decisions that are not known. Try again later.")
            added = int(await self._client.hset(self._key, mapping=entries))
            await self._count("held", added)

    async def release(self, *, now: float) -> int:
        """File what waited for decisions that are known by now; return how many statements that were.

        Where the decisions that are known have no answer, what was said of one that is still to come waits for it.
        Statements that have waited too long go. One that is filed twice, as after a crash, counts once.
        """
        waiting = await self._all()
        parts = [waiting[start : start + _TOGETHER] for start in range(0, len(waiting), _TOGETHER)]
        return sum([await self._release(part, now) for part in parts])

    async def _release(self, waiting: Sequence[tuple[bytes, PendingItem | None]], now: float) -> int:
        linked = await self._store.linked_decisions_of(
            [name for _, item in waiting if item is not None for name in item.links]
        )
        records = await self._store.records([name for ids in linked.values() for name in ids])
        statements, done, released, expired = [], [], 0, 0
        for name, item in waiting:
            decision_ids = next((linked[link] for link in item.links if linked[link]), []) if item is not None else []
            is_held_long = item is not None and item.held_s(now) > self.keep_s
            if decision_ids and not is_held_long and not may_mean(decision_ids, records):
                continue
            if item is not None and decision_ids:
                statements += split_weight(item.feedback, answered(decision_ids, records))
                released += 1
            is_late = is_held_long and not decision_ids
            expired += is_late
            if decision_ids or item is None or is_late:
                done.append(name)
        await self._store.put_all(statements)
        with redis_errors():
            if done:
                await self._client.hdel(self._key, *done)
            await self._count("joined", released)
            await self._count("expired", expired)
        return released

    async def discard(self, links: Sequence[str]) -> int:
        """Drop what waits under these links (`feedback_ids`), and return how many statements that were."""
        with redis_errors():
            ids = [bytes(name) for name in await self._client.hkeys(self._key)]
            withdrawn = [name for name in ids if link_of(name.decode()) in links]
            count = int(await self._client.hdel(self._key, *withdrawn)) if withdrawn else 0
            await self._count("withdrawn", count)
        return count

    async def counts(self) -> PendingCounts:
        """Return the namespace's counts. Raises StoreUnavailable."""
        with redis_errors():
            rows = await self._client.hgetall(self._counts_key)
            waiting = int(await self._client.hlen(self._key))
        counted = {name.decode(): int(count) for name, count in rows.items()}
        return PendingCounts(waiting, *(counted.get(name, 0) for name in ("held", "joined", "expired", "withdrawn")))

    async def _count(self, name: str, count: int) -> None:
        if count:
            await self._client.hincrby(self._counts_key, name, count)

    async def _all(self) -> list[tuple[bytes, PendingItem | None]]:
        """Return what waits, oldest first; None for what cannot be read any more."""
        with redis_errors():
            rows = await self._client.hgetall(self._key)
        entries = [(bytes(name), unpack_item(data)) for name, data in rows.items()]
        return sorted(entries, key=lambda entry: entry[1].feedback.at if entry[1] is not None else 0.0)


def split_weight(feedback: Feedback, decision_ids: Sequence[str]) -> list[Feedback]:
    """Return one statement for each decision, which share its weight: feedback on a whole counts once."""
    weight = feedback.weight / len(decision_ids)
    return [replace(feedback, decision_id=decision_id, weight=weight) for decision_id in decision_ids]


def pack_item(item: PendingItem) -> bytes:
    """Return what waits as bytes."""
    since = [] if item.held_at is None else [item.held_at]
    packed: bytes = msgpack.packb([list(item.links), encode(item.feedback), *since])
    return packed


def unpack_item(data: bytes, *, held_at: float | None = None) -> PendingItem | None:
    """Return what `pack_item` packed, waiting since `held_at` if that is given; None for what cannot be read."""
    try:
        names, event, *since = msgpack.unpackb(data)
        feedback = decode(event)
    except (ValueError, TypeError, BadEvent, msgpack.UnpackException):
        return None
    if not isinstance(feedback, Feedback):
        return None
    return PendingItem(feedback, tuple(map(str, names)), since[0] if held_at is None and since else held_at)
