"""The log and the records of its decisions, in Redis: one Lua call per write, so nothing is ever half written."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable, UnknownDecision
from highwayman.env.types import Control, Decision, Feedback, Outcome, Status
from highwayman.feedback.log.event_id import START, EventId
from highwayman.feedback.log.events import BadEvent, decode, encode
from highwayman.feedback.log.record import Record
from highwayman.feedback.log.redis.connection import DedicatedConnection
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import ScriptCall, Scripts

DEFAULT_WINDOW_S = 7 * 24 * 3600
_MARK_KEPT_S = 24 * 3600
GRACE_S = 24 * 3600  # a record outlives its window by this: a learner that stood still for a day misses nothing
MOST_TOGETHER = 100  # a Lua call holds everybody else up
_LOOKED_UP = 20  # records in a call: with 100, posts of feedback waited 30 ms and more behind the learner's look-ups

Written = Decision | Outcome | Feedback


class Keys:
    """Names of a namespace's keys; the braces put them all into one slot of a Redis Cluster."""

    def __init__(self, namespace: str) -> None:
        """Take the namespace. Raises ValueError for a name with braces."""
        if not namespace or "{" in namespace or "}" in namespace:
            raise ValueError(f"namespace must be a name without braces, got {namespace!r}")
        self._prefix = f"highwayman:{{{namespace}}}:"

    def __call__(self, *parts: str) -> str:
        """Return the key made of `parts`."""
        return self._prefix + ":".join(parts)


class LogTruncated(StoreUnavailable):
    """An event that had been read is gone: the server lost the end of its log. What was folded of it must go, too."""


class Store:
    """Writes events, reads the log and the records. Raises StoreUnavailable whenever Redis does not answer."""

    def __init__(self, client: "aioredis.Redis", namespace: str, *, window_s: int = DEFAULT_WINDOW_S) -> None:
        """Take a client that waits longer than any block asked of `read`.

        Args:
            client: made by `redis.connect`.
            namespace: of the keys.
            window_s: how long a decision takes feedback, in seconds.
        """
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self.keys = Keys(namespace)
        self._kept_s = window_s + GRACE_S
        self._log, self._open = self.keys("log"), self.keys("open")
        self._scripts = Scripts(client, "put", "put_control", "records")
        self._direct = DedicatedConnection(client)
        self._direct_scripts = Scripts(client, "put", execute=self._direct.execute)

    async def put(self, event: Written) -> EventId:
        """Append an event and file it under its decision; sent again, it returns the first one's id.

        Raises:
            UnknownDecision: it or its decision was erased; nothing is written.
        """
        event_id = (await self.put_all([event]))[0]
        if event_id is None:
            raise UnknownDecision("This decision, or this statement about it, was erased.")
        return event_id

    async def put_all(self, events: Sequence[Written]) -> list[EventId | None]:
        """Append events together; return their ids, None where it or its decision was erased."""
        event_ids: list[EventId | None] = []
        for start in range(0, len(events), MOST_TOGETHER):
            _, *ids = await self._scripts.call("put", *self._put(events[start : start + MOST_TOGETHER]))
            event_ids += [_text(event_id) if event_id else None for event_id in ids]
        return event_ids

    async def put_marked(
        self, events: Sequence[Written], *, writer: str, mark: str
    ) -> tuple[list[EventId | None], str | None]:
        """Append up to `MOST_TOGETHER` events at once, leave `mark` behind them; return ids and the mark found there.

        Not finding the mark it left last tells a writer that the server has lost the end of what it acknowledged. Calls
        must not overlap, and wait for an answer as long as they are let.
        """
        old_mark, *ids = await self._direct_scripts.call("put", *self._put(events, writer=writer, mark=mark))
        return [_text(event_id) if event_id else None for event_id in ids], _text(old_mark) if old_mark else None

    def _put(self, events: Sequence[Written], *, writer: str = "", mark: str = "") -> tuple[list[str], list[Any]]:
        """Return the keys and args of `put.lua`."""
        keys = [self._log, self._open, self.keys("mark", writer)]
        args: list[Any] = [mark, _MARK_KEPT_S, self._kept_s]
        begin = self.keys("d", "")
        for event in events:
            if isinstance(event, Outcome):
                keys.append(begin + event.decision_id)
                args += ("o", encode(event), event.decision_id, "1" if event.status is Status.LOST else "")
                continue
            if isinstance(event, Decision):
                decision_id, links = event.id, event.links
                args += ("d", encode(event), decision_id, event.at)
            else:
                decision_id, links = event.decision_id, _link_names(event)
                args += ("f", encode(event), event.id, "")
            keys.append(begin + decision_id)
            for name in links:
                keys.append(self._link(name))
                args += ("l", "", decision_id, event.at)
        return keys, args

    async def close(self) -> None:
        """Close the connection that `put_marked` has of its own."""
        await self._direct.close()

    async def put_config_changes(self, controls: Sequence[Control], *, before: str, after: str) -> list[EventId] | None:
        """Append control events as what is in force turns from `before` into `after`; None if it was not `before`."""
        args = [before, after, *map(encode, controls)]
        reply = await self._scripts.call("put_control", [self._log, self.keys("in_force")], args)
        return None if reply is None else [_text(event_id) for event_id in reply]

    async def active_config(self) -> str:
        """Return what `put_config_changes` last put in force, empty before the first."""
        with redis_errors():
            return _text(await self._client.get(self.keys("in_force")) or b"")

    async def put_ramp_change(self, controls: Sequence[Control], *, before: str, after: str) -> list[EventId] | None:
        """Append control events as the traffic's ramp turns from `before` into `after`; None if it was not `before`."""
        args = [before, after, *map(encode, controls)]
        reply = await self._scripts.call("put_control", [self._log, self.keys("ramp")], args)
        return None if reply is None else [_text(event_id) for event_id in reply]

    async def ramp(self) -> str:
        """Return what `put_ramp_change` last put in force, empty before the first."""
        with redis_errors():
            return _text(await self._client.get(self.keys("ramp")) or b"")

    async def settle_spread(self, own: Mapping[str, float]) -> dict[str, float]:
        """Return how far the pool's arms lay apart, by unit, when that was first said; of what was not, `own` is."""
        key = self.keys("spread")
        with redis_errors():
            for unit, amount in own.items():
                await self._client.hsetnx(key, unit, repr(amount))
            settled: Any = await self._client.hgetall(key)
        return {_text(unit): float(amount) for unit, amount in settled.items()}

    async def append(self, control: Control) -> EventId:
        """Append a control event that changes nothing of what is in force."""
        with redis_errors():
            return _text(await self._client.xadd(self._log, {"e": encode(control)}))

    async def read(
        self, after: EventId, *, count: int, block_s: float, anchored: bool = False
    ) -> list[tuple[EventId, bytes, bool]]:
        """Return up to `count` events after `after` in log order, each with its id.

        The third of each says whether something had been filed under its decision before it. Where there is none yet,
        up to `block_s` is waited for the first; 0 waits not at all.

        Raises:
            LogTruncated: `anchored`, and the event `after` is no longer on the log.
        """
        block = int(block_s * 1000) or None
        with redis_errors():
            reply: Any = await self._client.xread({self._log: after}, count=count, block=block)
            rows = [entry for _, entries in reply or () for entry in entries]
            if rows and anchored and not await self._client.xrange(self._log, after, after):
                raise LogTruncated(f"the log's event {after} is gone")
        return [(event_id.decode(), fields[b"e"], b"j" in fields) for event_id, fields in rows]

    async def records(self, decision_ids: Sequence[str]) -> dict[str, Record]:
        """Return the records there are of `decision_ids`, in one round trip."""
        unique = list(dict.fromkeys(decision_ids))
        parts = [unique[start : start + _LOOKED_UP] for start in range(0, len(unique), _LOOKED_UP)]
        calls: list[ScriptCall] = [("records", [self._log, *map(self._record, part)], ()) for part in parts]
        replies = await self._scripts.pipelined(calls) if calls else []
        rows = [row for reply in replies for row in reply]
        return {name: _record_of(row) for name, row in zip(unique, rows, strict=True) if row[0]}

    async def record(self, decision_id: str) -> Record:
        """Return what is known of a decision. Raises UnknownDecision."""
        record = (await self.records([decision_id])).get(decision_id)
        if record is None or record.decision is None:
            raise UnknownDecision(f"No decision {decision_id!r} is known here.")
        return record

    async def linked_decisions(self, name: str) -> list[str]:
        """Return the ids of decisions that are found under `name`, a link or a statement's id, oldest first."""
        with redis_errors():
            return [_text(decision_id) for decision_id in await self._client.zrange(self._link(name), 0, -1)]

    async def linked_decisions_of(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Return what `linked_decisions` does for each of several names, in one round trip."""
        unique = list(dict.fromkeys(names))
        if not unique:
            return {}
        with redis_errors():
            pipeline = self._client.pipeline(transaction=False)
            for name in unique:
                pipeline.zrange(self._link(name), 0, -1)
            replies = await pipeline.execute()
        return {name: [*map(_text, reply)] for name, reply in zip(unique, replies, strict=True)}

    async def trimmed_upto(self) -> EventId:
        """Return the last event that retention has taken off the log, `START` if it holds everything."""
        with redis_errors():
            return _text(await self._client.get(self.keys("trimmed")) or START)

    async def decisions_without_outcome(self, before: float, *, count: int) -> list[str]:
        """Return ids of decisions made before `before` (seconds since the epoch) that have no outcome yet."""
        with redis_errors():
            names = await self._client.zrangebyscore(self._open, "-inf", f"({before}", start=0, num=count)
        return [_text(name) for name in names]

    async def dead_letter(self, event_id: EventId, data: bytes, why: str) -> None:
        """Keep an event that cannot be folded as a dead letter, for a person to look at."""
        with redis_errors():
            await self._client.xadd(self.keys("dead"), {"id": event_id, "e": data, "why": why}, maxlen=10_000)

    async def secrets(self, own: bytes, *, issued: bool) -> list[bytes]:
        """Return the namespace's signing secrets; the first is for signing.

        Where there is none yet, `own` becomes the first. It is added to others if ids have been `issued` with it, as by
        a router that had to start without Redis.
        """
        key = self.keys("secrets")
        with redis_errors():
            count = int(await self._client.zcard(key))
            if issued or not count:
                await self._client.zadd(key, {own: float(count)}, nx=True)
        return await self.known_secrets()

    async def known_secrets(self) -> list[bytes]:
        """Return the namespace's signing secrets, none before the first router."""
        with redis_errors():
            return [bytes(secret) for secret in await self._client.zrange(self.keys("secrets"), 0, -1)]

    async def ping(self) -> None:
        """Return if Redis answers."""
        with redis_errors():
            await self._client.ping()

    async def eviction_policy(self) -> str | None:
        """Return Redis's maxmemory-policy if it may throw keys away, else None."""
        with redis_errors():
            info: Any = await self._client.info("memory")
        first = next(iter(info.values())) if info else None
        memory = first if isinstance(first, dict) else info  # a cluster answers once per node
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        return policy if policy != "noeviction" else None

    def _record(self, decision_id: str) -> str:
        return self.keys("d", decision_id)

    def _link(self, name: str) -> str:
        return self.keys("link", name)


def _link_names(event: Feedback) -> tuple[str, ...]:
    """Return the names under which a statement's decision is found from then on."""
    name, dot, _ = event.id.partition(".")
    return (name,) if dot else ()


def _record_of(row: Sequence[Any]) -> Record:
    """Return the record these fields of its hash, and these entries of the log, describe."""
    names, decision_data, outcome_data = row
    fields: Mapping[bytes, bytes] = dict(zip(names[::2], names[1::2], strict=True))
    decision, outcome = _readable(decision_data), _readable(outcome_data)
    feedback, erased, turns = {}, {}, {}
    for name, value in fields.items():
        if name.startswith(b"f:"):
            event_id, _, data = value.partition(b" ")
            event = _readable(data)
            if isinstance(event, Feedback):
                feedback[_text(event_id)] = event
        elif name.startswith(b"y:"):
            erased[_text(name[2:])] = _text(value)
        elif name.startswith(b"z:"):
            turns[_text(name[2:])] = _text(value).split()
    return Record(
        decision if isinstance(decision, Decision) else None,
        _field(fields, b"d"),
        outcome if isinstance(outcome, Outcome) else None,
        _field(fields, b"o"),
        feedback,
        _field(fields, b"x"),
        erased,
        turns,
    )


def _readable(data: bytes) -> object:
    """Return the event in `data`, or None where this version cannot read it."""
    try:
        return decode(data) if data else None
    except BadEvent:
        return None


def _field(fields: Mapping[bytes, bytes], name: bytes) -> EventId | None:
    value = fields.get(name)
    return _text(value) if value else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
