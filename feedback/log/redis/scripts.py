"""The Lua scripts of this folder, called by their hashes, many in one round trip."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any

import redis.asyncio as aioredis
from redis.exceptions import NoScriptError, RedisError

from highwayman.feedback.log.redis.redis import redis_errors

ScriptCall = tuple[str, Sequence[str], Sequence[Any]]  # name of the script, keys, args

Execute = Callable[..., Awaitable[Any]]  # takes a command's words


class Scripts:
    """Calls scripts by hash and loads them where the server does not have them (a fresh one, or one that restarted)."""

    def __init__(self, client: "aioredis.Redis", *names: str, execute: Execute | None = None) -> None:
        """Take a client, the names of the files NAME.lua that are needed, and what sends single calls, if not it."""
        self._client: Any = client  # its replies are bytes, which its types do not promise
        self._execute: Execute = execute or self._client.execute_command
        self._sources = {name: resources.files(__package__).joinpath(f"{name}.lua").read_text() for name in names}
        self._hashes = {
            name: hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
            for name, source in self._sources.items()
        }

    async def call(self, name: str, keys: Sequence[str], args: Sequence[Any] = ()) -> Any:
        """Return what the script `name` returns. Raises StoreUnavailable."""
        command = ("EVALSHA", self._hashes[name], len(keys), *keys, *args)
        with redis_errors():
            try:
                return await self._execute(*command)
            except NoScriptError:
                await self._load()
                return await self._execute(*command)

    async def pipelined(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Return the replies to `calls`, in one round trip.

        Every script of ours may be called twice: so where one was not loaded, all are called again.

        Raises:
            StoreUnavailable: any of them failed; the others may have been carried out.
        """
        with redis_errors():
            replies = await self._sent(calls)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                await self._load()
                replies = await self._sent(calls)
            for reply in replies:
                if isinstance(reply, RedisError):
                    raise reply
        return replies

    async def _load(self) -> None:
        for source in self._sources.values():
            await self._client.script_load(source)

    async def _sent(self, calls: Sequence[ScriptCall]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for name, keys, args in calls:
            pipeline.execute_command("EVALSHA", self._hashes[name], len(keys), *keys, *args)
        return list(await pipeline.execute(raise_on_error=False))
