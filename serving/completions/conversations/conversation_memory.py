"""Which arm answered under a key: in this process, and in Redis for the others; bounded, and for a time only."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.store import Keys
from highwayman.serving.completions.conversations.conversation_keys import LOOSE

_DISAGREED = ""  # what stands under a loose key that several arms have answered under
_REST_S = 1.0  # nothing is asked of a Redis that did not answer twice running, for so long: once may be a hiccup

log = logging.getLogger(__name__)


class ConversationMemory:
    """Remembers arms by key. Redis may be away: then each process knows what it has seen itself."""

    def __init__(
        self,
        client: "aioredis.Redis",
        namespace: str,
        clock: Callable[[], float],
        *,
        patience_s: float,
        lifetime_s: float,
        entries: int,
    ) -> None:
        """Prepare an empty memory.

        Args:
            client: of the Redis that other processes remember in, too.
            namespace: of its keys.
            clock: monotonic, in seconds.
            patience_s: how long one look, or one write, may take.
            lifetime_s: how long anything is remembered after it was said last.
            entries: that this process keeps; the oldest go first.
        """
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._keys = Keys(namespace)
        self._clock = clock
        self._patience_s = patience_s
        self._lifetime_s = lifetime_s
        self._entries = entries
        self._own: OrderedDict[str, tuple[str, float]] = OrderedDict()  # arm, until when
        self._failures = 0  # running
        self._resting_until = 0.0

    def remember(self, keys: Sequence[str], arm: str) -> None:
        """Remember in this process that `arm` answered under these keys."""
        until = self._clock() + self._lifetime_s
        for key in keys:
            before = self._here(key) if key.startswith(LOOSE) else None
            self._own[key] = arm if before in (None, arm) else _DISAGREED, until
            self._own.move_to_end(key)
        while len(self._own) > self._entries:
            self._own.popitem(last=False)

    async def share(self, keys: Sequence[str], arm: str) -> None:
        """Let the other processes know, in one round trip; where Redis does not answer in time, they do not."""
        pipeline = self._client.pipeline(transaction=False)
        lifetime_s = max(1, round(self._lifetime_s))
        for key in map(self._name, keys):
            if key[1]:
                pipeline.sadd(key[0], arm)
                pipeline.expire(key[0], lifetime_s)
            else:
                pipeline.set(key[0], arm, ex=lifetime_s)
        await self._sent(pipeline)

    async def recall(self, keys: Sequence[str]) -> str | None:
        """Return the arm under the first of these keys, the surest first, that says one; None where none does."""
        if not keys:
            return None
        own = self._here(keys[0])
        if own:
            return own
        shared = await self._shared(keys)
        for key in keys:
            arm = shared.get(key, self._here(key))
            if arm:
                return arm
        return None

    def _here(self, key: str) -> str | None:
        arm, until = self._own.get(key, (None, 0.0))
        if arm is not None and until <= self._clock():
            del self._own[key]
            return None
        return arm

    async def _shared(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return what Redis knows of these keys."""
        pipeline = self._client.pipeline(transaction=False)
        for name, loose in map(self._name, keys):
            pipeline.smembers(name) if loose else pipeline.get(name)
        arms: dict[str, str] = {}
        for key, reply in zip(keys, await self._sent(pipeline), strict=False):
            members = sorted(reply) if isinstance(reply, set | list) else [reply] if reply else []
            if members:
                arms[key] = members[0].decode() if len(members) == 1 else _DISAGREED
        return arms

    async def _sent(self, pipeline: Any) -> list[Any]:
        """Return the replies, none where Redis does not answer in time, or has not answered lately."""
        if self._clock() < self._resting_until:
            return []
        try:
            with redis_errors():
                async with asyncio.timeout(self._patience_s):
                    replies = list(await pipeline.execute())
        except StoreUnavailable as error:
            self._failures += 1
            if self._failures > 1:
                self._resting_until = self._clock() + _REST_S
            if self._failures == 2:
                log.warning("conversations are not shared between processes for now: %s", error)
            return []
        self._failures = 0
        return replies

    def _name(self, key: str) -> tuple[str, bool]:
        """Return the key's name in Redis, and whether it is loose."""
        return self._keys("talk", key), key.startswith(LOOSE)
