"""The log and the records of its decisions, in Redis: one Lua call per write, so nothing is ever half written."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.errors import UnknownDecision
from highwayman.env.types import Decision, Feedback, Outcome
from highwayman.feedback.events import BadEvent, Event, decode, encode
from highwayman.feedback.join import EventId, Record
from highwayman.feedback.redis import redis_errors, script

DEFAULT_WINDOW_S = 7 * 24 * 3600


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


class Store:
    """Writes events, reads the log and the records. Raises StoreUnavailable whenever Redis does not answer."""

    def __init__(self, client: "aioredis.Redis", namespace: str, *, window_s: int = DEFAULT_WINDOW_S) -> None:
        """Take a client that waits longer than any block asked of `read`.

        Args:
            client: made by `redis.connect`.
            namespace: of the keys.
            window_s: how long a decision takes feedback.
        """
        self._client = client
        self._keys = Keys(namespace)
        self._window_s = window_s
        self._log = self._keys("log")
        self._put_decision = script(client, "put_decision")
        self._put_outcome = script(client, "put_outcome")
        self._put_feedback = script(client, "put_feedback")

    async def put_decision(self, decision: Decision) -> EventId:
        """Append a decision and open its record; a second time returns the first one's id."""
        return await self._put(self._put_decision, decision.id, [encode(decision), self._window_s])

    async def put_outcome(self, outcome: Outcome) -> EventId:
        """Append an outcome and file it; a second one for the same decision returns the first one's id."""
        return await self._put(self._put_outcome, outcome.decision_id, [encode(outcome)])

    async def put_feedback(self, feedback: Feedback) -> EventId:
        """Append feedback and file it. Raises UnknownDecision, with nothing written, if there is no such decision."""
        event_id = await self._put(self._put_feedback, feedback.decision_id, [encode(feedback)])
        if not event_id:
            raise UnknownDecision(f"No decision {feedback.decision_id!r} takes feedback here.")
        return event_id

    async def read(self, after: EventId, *, count: int, block_s: float) -> list[tuple[EventId, bytes]]:
        """Return up to `count` events after `after` in log order, waiting up to `block_s` for the first."""
        with redis_errors():
            reply: Any = await self._client.xread({self._log: after}, count=count, block=max(int(block_s * 1000), 1))
        return [entry for _, entries in reply or () for entry in _decoded(entries)]

    async def records(self, decision_ids: Sequence[str]) -> dict[str, Record]:
        """Return the records there are of `decision_ids`, in two round trips."""
        unique = list(dict.fromkeys(decision_ids))
        filed = await self._pipelined([("HGETALL", self._record(decision_id)) for decision_id in unique])
        wanted = [(one, fields) for one, fields in zip(unique, filed, strict=True) if _field(fields, b"d")]
        ids = [_field(fields, name) for _, fields in wanted for name in (b"d", b"o")]
        events = await self._events([one for one in ids if one])
        found = {}
        for decision_id, fields in wanted:
            record = _record_of(fields, events)
            if record is not None:
                found[decision_id] = record
        return found

    async def record(self, decision_id: str) -> Record:
        """Return what is known of a decision. Raises UnknownDecision."""
        found = await self.records([decision_id])
        if decision_id not in found:
            raise UnknownDecision(f"No decision {decision_id!r} is known here.")
        return found[decision_id]

    async def bury(self, event_id: EventId, data: bytes, why: str) -> None:
        """Put an event that cannot be folded aside, for a person to look at."""
        with redis_errors():
            await self._client.xadd(self._keys("dead"), {"id": event_id, "e": data, "why": why}, maxlen=10_000)

    async def secret(self, fresh: bytes) -> bytes:
        """Return the namespace's signing secret, `fresh` if it had none."""
        with redis_errors():
            await self._client.set(self._keys("secret"), fresh, nx=True)
            kept = await self._client.get(self._keys("secret"))
        return kept if isinstance(kept, bytes) else fresh

    async def ping(self) -> None:
        """Return if Redis answers."""
        with redis_errors():
            await self._client.ping()

    async def eviction_policy(self) -> str | None:
        """Return Redis's maxmemory-policy, or None where it may not be asked."""
        try:
            config = await self._client.config_get("maxmemory-policy")
        except aioredis.RedisError:
            return None
        return {_text(name): _text(value) for name, value in config.items()}.get("maxmemory-policy")

    def _record(self, decision_id: str) -> str:
        return self._keys("d", decision_id)

    async def _put(self, lua: Any, decision_id: str, args: list[Any]) -> EventId:
        with redis_errors():
            event_id = await lua(keys=[self._log, self._record(decision_id)], args=args)
        return _text(event_id) if event_id else ""

    async def _pipelined(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not commands:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        with redis_errors():
            return list(await pipeline.execute())

    async def _events(self, ids: Sequence[EventId]) -> dict[EventId, Event]:
        """Return the events with these ids that are still on the log and can be read."""
        replies = await self._pipelined([("XRANGE", self._log, one, one) for one in ids])
        events = {}
        for reply in replies:
            for event_id, data in _decoded(reply):
                try:
                    events[event_id] = decode(data)
                except BadEvent:
                    continue
        return events


def _record_of(fields: Mapping[bytes, bytes], events: Mapping[EventId, Event]) -> Record | None:
    """Return the record these fields of its hash describe, or None where its decision has left the log."""
    decision, outcome_id = events.get(_field(fields, b"d") or ""), _field(fields, b"o")
    if not isinstance(decision, Decision):
        return None
    outcome = events.get(outcome_id or "")
    filed = {_text(name)[2:]: decode(data) for name, data in fields.items() if name.startswith(b"f:")}
    return Record(
        decision,
        outcome if isinstance(outcome, Outcome) else None,
        outcome_id,
        {event_id: event for event_id, event in filed.items() if isinstance(event, Feedback)},
    )


def _field(fields: Mapping[bytes, bytes], name: bytes) -> EventId | None:
    value = fields.get(name)
    return _text(value) if value else None


def _decoded(entries: Any) -> list[tuple[EventId, bytes]]:
    """Return (id, event bytes) of stream entries."""
    return [(_text(event_id), bytes(values[b"e"])) for event_id, values in entries]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
