"""Stored answers in Redis: for a time only, bounded in number, and found by the person who asked for them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pydantic_core
import redis.asyncio as aioredis

from highwayman.feedback.log.event_id import START, EventId
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import Keys

_PAGE = 500  # rows in one reply


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What an arm said, and what that took."""

    text: str
    arm: str  # which gave it
    at: float  # seconds since the epoch
    tokens_in: int = 0
    tokens_out: int = 0
    user: str = ""  # pseudonym of the person who asked, empty where nobody is named
    decision_id: str = ""  # on which it was given


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Where the question of a stored answer lies among others like it."""

    exact: str  # the answer's key
    group: str  # of questions that may be compared with it
    vector: bytes  # float16, as the encoder's engine has it


class AnswerStore:
    """Reads and writes answers by their keys. Raises StoreUnavailable whenever Redis does not answer."""

    def __init__(
        self,
        client: "aioredis.Redis",
        namespace: str,
        *,
        lifetime_s: float = 3600.0,
        entries: int = 5_000,
        clock: Callable[[], float],
    ) -> None:
        """Take the Redis of all processes, and the namespace of its keys.

        Args:
            client: made by `redis.connect`.
            namespace: of the keys.
            lifetime_s: how long an answer is kept.
            entries: that are kept; the oldest go first.
            clock: seconds since the epoch.
        """
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._keys = Keys(namespace)
        self._lifetime_s = max(1, round(lifetime_s))
        self._entries = entries
        self._clock = clock
        self._rows = self._keys("answers")
        self._scripts = Scripts(client, "put_answer")

    async def get(self, exact: str) -> StoredAnswer | None:
        """Return the answer under a key, None where there is none."""
        with redis_errors():
            return _parsed(await self._client.get(self._name(exact)))

    async def get_and_rows(
        self, exact: str, *, after: EventId
    ) -> tuple[StoredAnswer | None, list[tuple[EventId, AnswerRow]]]:
        """Return the answer under a key, and the next rows that came after a place, oldest first; in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.get(self._name(exact))
        pipeline.xrange(self._rows, f"({after}", "+", count=_PAGE)
        with redis_errors():
            data, rows = await pipeline.execute()
        return _parsed(data), [(row_id.decode(), _row(fields)) for row_id, fields in rows]

    async def put(self, row: AnswerRow, answer: StoredAnswer) -> bool:
        """Store an answer, unless there is one already; return whether it was stored."""
        names = [self._name(row.exact), self._rows, self._given_on(answer.decision_id), self._of(answer.user)]
        data, there_are = pydantic_core.to_json(asdict(answer)), [int(bool(answer.decision_id)), int(bool(answer.user))]
        kept = [self._lifetime_s, self._entries, self._clock(), self._name("")]
        args = [data, row.exact, row.group, row.vector, *kept, *there_are]
        return bool(await self._scripts.call("put_answer", names, args))

    async def forget_given(self, decision_id: str) -> bool:
        """Remove the answer that was given on a decision; return whether it was stored."""
        with redis_errors():
            exact = await self._client.get(self._given_on(decision_id))
            return exact is not None and bool(await self._drop([], [exact.decode()]))

    async def forget(
        self, pseudonyms: Collection[str], *, is_meant: Callable[[str], bool] = lambda decision_id: True
    ) -> int:
        """Remove the answers that these persons asked for; return how many there were.

        `is_meant` says of the decision that one was given on whether it is concerned: two tenants may name a person
        alike.
        """
        with redis_errors():
            persons = [self._of(pseudonym) for pseudonym in pseudonyms]
            named = {name.decode() for person in persons for name in await self._client.zrange(person, 0, -1)}
            answers = {name: await self.get(name) for name in named}
            exact = {name for name, answer in answers.items() if answer is None or is_meant(answer.decision_id)}
            after, rows = START, list[EventId]()
            while exact and (page := await self._client.xrange(self._rows, f"({after}", "+", count=_PAGE)):
                rows += [row_id for row_id, fields in page if _row(fields).exact in exact]
                after = page[-1][0].decode()
            count = await self._drop(rows, list(exact))
            for person in persons if exact else ():
                await self._client.zrem(person, *exact)
        return count

    async def _drop(self, rows: Sequence[EventId], exact: Sequence[str]) -> int:
        if rows:
            await self._client.xdel(self._rows, *rows)
        return int(await self._client.delete(*map(self._name, exact))) if exact else 0

    def _name(self, exact: str) -> str:
        return self._keys("answer", exact)

    def _given_on(self, decision_id: str) -> str:
        return self._keys("answer_on", decision_id)

    def _of(self, pseudonym: str) -> str:
        return self._keys("answers_of", pseudonym)


def _parsed(data: bytes | None) -> StoredAnswer | None:
    """Return what `put` wrote; None for nothing, and for what another release has written otherwise."""
    try:
        return None if data is None else StoredAnswer(**pydantic_core.from_json(data))
    except (TypeError, ValueError):
        return None


def _row(fields: dict[bytes, bytes]) -> AnswerRow:
    return AnswerRow(fields[b"k"].decode(), fields[b"g"].decode(), fields[b"v"])
