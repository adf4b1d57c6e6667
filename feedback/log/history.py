"""The log read for those who look at it: its newest events first, and where it goes on after a place."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis.asyncio as aioredis

from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import BadEvent, Event, decode
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.store import Keys


class LogHistory:
    """Reads a namespace's log. Raises StoreUnavailable whenever Redis does not answer."""

    def __init__(self, client: "aioredis.Redis", namespace: str) -> None:
        """Take a client and the namespace."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._log = Keys(namespace)("log")

    async def first_after(self, position: EventId) -> EventId | None:
        """Return the id of the first event behind `position`, None where that is the log's last."""
        with redis_errors():
            rows = await self._client.xrange(self._log, f"({position}", "+", count=1)
        return _text(rows[0][0]) if rows else None

    async def newest(self, *, before: EventId | None, count: int) -> Sequence[tuple[EventId, bytes]]:
        """Return up to `count` events that stand before one on the log, newest first; None: the newest of all."""
        end = "+" if before is None else f"({before}"
        with redis_errors():
            rows = await self._client.xrevrange(self._log, end, "-", count=count)
        return [(_text(event_id), bytes(fields[b"e"])) for event_id, fields in rows]


def readable_events(rows: Iterable[tuple[EventId, bytes]]) -> Iterator[tuple[EventId, Event]]:
    """Yield the events of rows, in their order, without those that cannot be read."""
    for event_id, data in rows:
        try:
            yield event_id, decode(data)
        except BadEvent:
            continue


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
