"""How much one key, and one person, may weigh in a tenant's latest feedback, counted in Redis for all routers."""

import asyncio
import math
import time
from collections.abc import Callable, Collection
from typing import Final

import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import Keys
from highwayman.feedback.trust.influence_caps import InfluenceCaps, InfluenceLimiter

_HALVES_KEPT: Final = 20  # half-lives, after which a millionth of a weight is left
_PATIENCE_S: Final = 0.5
_PAUSE_S: Final = 1.0


class SharedInfluence:
    """Weighs statements as `InfluenceLimiter` does, exact however many processes ask at once.

    While Redis does not answer, each process goes by its own account of what it has weighed.
    """

    def __init__(
        self,
        client: "aioredis.Redis",
        namespace: str,
        caps: InfluenceCaps,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take where sums are kept, the caps, and a clock in monotonic seconds."""
        self._timer = timer
        self._away_until = float("-inf")  # Redis has not answered just now, and is left alone
        self._scripts = Scripts(client, "influence")
        self._keys = Keys(namespace)
        self._caps = caps
        self._own = InfluenceLimiter(caps)

    async def allowed_weight(
        self, tenant: str, *, key: str, person: str, at: float, key_share: float | None = None
    ) -> float:
        """Return what a statement may weigh, in [0, 1], and keep account of it, as `InfluenceLimiter` does."""
        own = self._own.allowed_weight(tenant, key=key, person=person, at=at, key_share=key_share)
        caps = self._caps
        shares = [("key", key, caps.key_share if key_share is None else key_share)]
        shares.append(("person", person, caps.person_share))
        capped = [(kind, name, share) for kind, name, share in shares if name and share is not None and share < 1.0]
        names = [self._keys("influence", tenant), *(self._keys("influence", tenant, *each[:2]) for each in capped)]
        keep_s = math.ceil(_HALVES_KEPT * caps.half_life_s)
        words = (at, caps.half_life_s, caps.grace, keep_s, *(share for *_, share in capped))
        if self._timer() < self._away_until:
            return own
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return float(await self._scripts.call("influence", names, words))
        except (StoreUnavailable, TimeoutError):
            self._away_until = self._timer() + _PAUSE_S
            return own


async def forget_influence(
    client: "aioredis.Redis", namespace: str, *, tenants: Collection[str], pseudonyms: Collection[str]
) -> None:
    """Remove what some persons weigh in what some tenants were told of late. Raises StoreUnavailable."""
    keys = Keys(namespace)
    names = [keys("influence", tenant, "person", person) for tenant in tenants for person in pseudonyms]
    if names:
        with redis_errors():
            await client.delete(*names)
