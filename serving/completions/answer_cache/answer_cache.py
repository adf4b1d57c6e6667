"""Looks for an answer that may be given again, and stores those that may be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from highwayman.env.encoder.encoder import MAX_CHARS, Encoder
from highwayman.env.encoder.features.similarity_bands import SimilarityBands
from highwayman.env.errors import StoreUnavailable
from highwayman.env.pool.cached_arms import CACHED_ARMS, EXACT, SEMANTIC
from highwayman.env.types import SIMILARITY_FLAG, STORED_BY_FLAG, STORED_FROM_FLAG, Arm
from highwayman.env.upstream.calls.response import UpstreamResponse
from highwayman.env.upstream.stored_response import stored_response
from highwayman.feedback.log.event_id import START, EventId, sort_key
from highwayman.serving.completions.answer_cache.answer_key import AnswerKey, AskedBy, answer_key
from highwayman.serving.completions.answer_cache.answer_store import AnswerRow, AnswerStore, StoredAnswer
from highwayman.serving.completions.answer_cache.nearest import NearestQuestions
from highwayman.serving.completions.requests.request import CompletionRequest
from highwayman.serving.completions.requests.routing_options import CacheControl

_LOOKED: Final = {EXACT: "exact", SEMANTIC: "semantic"}
_REST_S = 1.0  # for so long nothing is asked of a Redis that did not answer

log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class AnswerCacheSettings:
    """What is given again, and to whom."""

    max_temperature: float = 0.5
    similarity: float | None = None  # cosine from which on a question is like another; None: only the same is
    repeat_s: float = 600.0  # for so long a person who asks the same again wants another answer
    entries: int = 5_000  # questions that are compared at most
    patience_s: float = 0.05  # that Redis may take


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A stored answer that may be given now."""

    arm: Arm  # that gives it
    answer: StoredAnswer
    age_s: float
    similarity: float = 1.0  # of the two questions' vectors
    tags: tuple[tuple[str, int], ...] = ()  # which tell policies of that

    @property
    def flags(self) -> frozenset[str]:
        """What a decision's context says of it, on which it may be given."""
        answer, similarity = self.answer, f"{self.similarity:.4f}"
        told = (SIMILARITY_FLAG + similarity, STORED_BY_FLAG + answer.arm, STORED_FROM_FLAG + answer.decision_id)
        return frozenset(told)

    def response(self, request: CompletionRequest, *, now: float) -> UpstreamResponse:
        """Return it as if it had just come, in answer to a request; `now` is monotonic seconds."""
        answer = self.answer
        return stored_response(
            self.arm,
            answer.text,
            usage=(answer.tokens_in, answer.tokens_out),
            chat=request.chat,
            stream=request.stream,
            created_at=answer.at,
            now=now,
        )


class AnswerCache:
    """Of one router process; the answers are in Redis. Where that is away, nothing is found and nothing stored."""

    def __init__(
        self,
        store: AnswerStore,
        encoder: Encoder,
        settings: AnswerCacheSettings,
        *,
        secret: Callable[[], bytes],
        pseudonym: Callable[[str | None], str],
        clock: Callable[[], float],
        on_lookup: Callable[[str], None] = lambda came_to: None,
    ) -> None:
        """Take where the answers are, and what makes vectors of questions.

        Args:
            store: of the answers.
            encoder: whose engine compares questions.
            settings: what is given again.
            secret: returns the namespace's.
            pseudonym: of the person who asks.
            clock: seconds since the epoch.
            on_lookup: is told what came of each: exact, semantic, none.
        """
        self._store = store
        self._encoder = encoder
        self._settings = settings
        self._secret = secret
        self._pseudonym = pseudonym
        self._clock = clock
        self._on_lookup = on_lookup
        self._nearest = NearestQuestions(encoder.engine.width, entries=settings.entries)
        self._read_upto: EventId = START
        self._resting_until = 0.0

    async def look_up(
        self, request: CompletionRequest, asked_by: AskedBy, control: CacheControl
    ) -> tuple[CompletionRequest, CachedAnswer | None]:
        """Return a request with the key under which its answer may be stored, and what may be given in its place."""
        key = self._key(request, asked_by)
        if key is None:
            return request, None
        cached = None
        if control.gives:
            cached = await self._cached(key, request.query.text, self._pseudonym(request.user))
            self._on_lookup(_LOOKED[cached.arm.name] if cached is not None else "none")
        return replace(request, answer_key=key) if control.stores else request, cached

    async def store(self, key: AnswerKey, text: str, answer: StoredAnswer) -> None:
        """Store the answer to a request whose newest message is `text`."""
        vector = await self._encoder.embedding(text) if key.group else None
        data = b"" if vector is None else vector.astype(np.float16).tobytes()
        row = AnswerRow(key.exact, self._group(key), data)
        await self._patiently(lambda: self._store.put(row, answer))

    def _key(self, request: CompletionRequest, asked_by: AskedBy) -> AnswerKey | None:
        """Return under which key a request's answer may be stored and looked for, None where it may not."""
        if request.is_large:
            return None
        return answer_key(
            request.body,
            request.query,
            asked_by,
            self._secret(),
            max_temperature=self._settings.max_temperature,
            longest_like=0 if self._settings.similarity is None else MAX_CHARS,
        )

    async def forget(self, decision_id: str) -> None:
        """Give the answer no more that was given on a decision, if it is stored."""
        await self._patiently(lambda: self._store.forget_given(decision_id))

    async def _cached(self, key: AnswerKey, text: str, person: str) -> CachedAnswer | None:
        if not key.group:
            answer = await self._patiently(lambda: self._store.get(key.exact))
            return self._given(CACHED_ARMS[EXACT], answer, person)
        reply = await self._patiently(lambda: self._store.get_and_rows(key.exact, after=self._read_upto))
        if reply is None:
            return None
        answer, rows = reply
        self._follow(rows)
        if answer is None:
            return await self._like(key, text, person)
        return self._given(CACHED_ARMS[EXACT], answer, person)

    async def _like(self, key: AnswerKey, text: str, person: str) -> CachedAnswer | None:
        """Return the answer to the stored question that is nearest, if that is near enough."""
        least, vector = self._settings.similarity, await self._encoder.embedding(text)
        if least is None or vector is None:
            return None
        nearest = self._nearest.nearest(self._group(key), vector)
        if nearest is None or nearest[1] < least:
            return None
        exact, similarity = nearest
        answer = await self._patiently(lambda: self._store.get(exact))
        if answer is None:  # it has expired, or was erased
            self._nearest.drop(exact)
        tags = (SimilarityBands(least).place(similarity),)
        return self._given(CACHED_ARMS[SEMANTIC], answer, person, similarity=similarity, tags=tags)

    def _given(
        self,
        arm: Arm,
        answer: StoredAnswer | None,
        person: str,
        *,
        similarity: float = 1.0,
        tags: tuple[tuple[str, int], ...] = (),
    ) -> CachedAnswer | None:
        """Return an answer as it may be given; None to the person who asked for it, if they ask again soon."""
        if answer is None:
            return None
        age_s = max(self._clock() - answer.at, 0.0)
        asks_again = bool(person) and answer.user == person and age_s < self._settings.repeat_s
        return None if asks_again else CachedAnswer(arm, answer, age_s, similarity, tags)

    def _follow(self, rows: list[tuple[EventId, AnswerRow]]) -> None:
        """Take rows that this process has not seen yet."""
        for row_id, row in rows:
            if sort_key(row_id) > sort_key(self._read_upto):
                self._read_upto = row_id
                if row.vector:
                    self._nearest.add(row.exact, row.group, row.vector)

    def _group(self, key: AnswerKey) -> str:
        """Return the group, of questions whose vectors are of one engine."""
        return f"{key.group}:{self._encoder.engine.fingerprint}" if key.group else ""

    async def _patiently(self, ask: Callable[[], Awaitable[_Result]]) -> _Result | None:
        """Return what Redis answers, None where it does not in time, or has not answered lately."""
        if self._clock() < self._resting_until:
            return None
        try:
            async with asyncio.timeout(self._settings.patience_s):
                return await ask()
        except (StoreUnavailable, TimeoutError) as error:
            self._resting_until = self._clock() + _REST_S
            log.warning("stored answers are not asked for, for now: %s", error or "Redis takes too long")
            return None
