"""Which column each level of a tag has: given to those that come often enough, the same in every process."""

import asyncio
import logging
from collections import OrderedDict
from typing import Any

import redis.asyncio as aioredis

from highwayman.env.encoder.features.tags import ENOUGH, Tag
from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import redis_errors
from highwayman.feedback.log.redis.scripts import Scripts
from highwayman.feedback.log.store import Keys

_EVERY_S = 2.0  # between two looks at what other processes gave
_COUNTED = 4_096  # levels that are counted at a time; those not seen for longest go first

log = logging.getLogger(__name__)

_TableName = tuple[str, Tag]  # whose levels, of what


class LevelTable:
    """The columns given so far: looked up in memory, given in Redis beside the requests.

    A level is known by its digest alone. It is told apart once this process has seen it `ENOUGH` times and a column is
    free; until then, and where Redis cannot be asked, it is one of the rare ones. Each tenant has columns of its own,
    as it has a policy of its own. None is ever taken back: what was learned hangs on it.
    """

    def __init__(self, client: "aioredis.Redis", namespace: str) -> None:
        """Take the Redis that all processes share, and the namespace of its keys."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._scripts = Scripts(client, "claim_level")
        self._keys = Keys(namespace)
        self._tables: dict[_TableName, dict[str, int]] = {}
        self._counts: OrderedDict[tuple[_TableName, str], int] = OrderedDict()
        self._asked: set[_TableName] = set()  # for a level that is not known here, since the last look
        self._due: dict[tuple[_TableName, str], None] = {}
        self._has_work = asyncio.Event()

    def place(self, tenant: str, tag: Tag, digest: str) -> int:
        """Return a level's column among those of its tag, the last one for one without, and count that it came."""
        name = tenant, tag
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = {}
            self._has_work.set()
        place = table.get(digest)
        if place is None and len(table) < tag.slots:
            self._asked.add(name)
            self._count(name, digest)
        return tag.rest if place is None else place

    async def run(self) -> None:
        """Keep up with the other processes until cancelled."""
        away = False
        while True:
            try:
                await self.sync()
                away = False
            except StoreUnavailable as error:
                if not away:
                    log.warning("new levels of tags are taken for rare ones for now: %s", error)
                away = True
            try:
                async with asyncio.timeout(_EVERY_S):
                    await self._has_work.wait()
            except TimeoutError:
                pass

    async def sync(self) -> None:
        """Take over what other processes gave, and give columns to levels that came often. Raises StoreUnavailable."""
        self._has_work.clear()
        for name in list(self._asked):
            with redis_errors():
                given = await self._client.hgetall(self._key(name))
            self._asked.discard(name)
            self._take(name, {digest.decode(): int(place) for digest, place in given.items()})
        for name, digest in list(self._due):
            place = await self._scripts.call("claim_level", [self._key(name)], [digest, name[1].slots])
            del self._due[name, digest]
            if place >= 0:
                self._take(name, {digest: place})

    def _take(self, name: _TableName, given: dict[str, int]) -> None:
        """Remember columns that were given; those beyond what is declared by now are passed over."""
        self._tables[name].update((digest, place) for digest, place in given.items() if place < name[1].slots)

    def _count(self, name: _TableName, digest: str) -> None:
        count = self._counts.pop((name, digest), 0) + 1
        if count < ENOUGH:
            self._counts[name, digest] = count
            if len(self._counts) > _COUNTED:
                self._counts.popitem(last=False)
        else:
            self._due[name, digest] = None
            self._has_work.set()

    def _key(self, name: _TableName) -> str:
        return self._keys("levels", name[1].name, name[0])
