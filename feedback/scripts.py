"""The Lua scripts of this folder, called by their hashes, many in one round trip."""

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from highwayman.feedback.redis import redis_errors

Call = tuple[str, Sequence[str], Sequence[Any]]  # name of the script, keys, args


class Scripts:
    """Calls scripts by hash and loads them where the server does not have them (a fresh one, or one that restarted)."""

    def __init__(self, client: "aioredis.Redis", *names: str) -> None:
        """Take a client and the names of the files NAME.lua that are needed."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._sources = {name: resources.files(__package__).joinpath(f"{name}.lua").read_text() for name in names}
        self._hashes = {
            name: hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
            for name, source in self._sources.items()
        }

    async def call(self, name: str, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Return what the script `name` returns. Raises StoreUnavailable."""
        return (await self.pipelined([(name, keys, args)]))[0]

    async def pipelined(self, calls: Sequence[Call]) -> list[Any]:
        """Return the replies to `calls`, in one round trip.

        Every script of ours may be called twice: so where one was not loaded, all are called again.

        Raises:
            StoreUnavailable: any of them failed; the others may have been carried out.
        """
        with redis_errors():
            replies = await self._sent(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                for source in self._sources.values():
                    await self._client.script_load(source)
                replies = await self._sent(calls)
            for reply in replies:
                if isinstance(reply, RedisError):
                    raise reply
        return replies

    async def _sent(self, calls: Sequence[Call]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for name, keys, args in calls:
            pipeline.execute_command("EVALSHA", self._hashes[name], len(keys), *keys, *args)
        return list(await pipeline.execute(raise_on_error=False))
