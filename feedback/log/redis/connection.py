"""One connection for one command at a time: what every request waits for goes without the layers of a pool."""

from typing import Any

import hiredis
import redis.asyncio as aioredis
from redis.exceptions import ResponseError


class DedicatedConnection:
    """Sends commands over a connection of its own.

    It sets no time limit: whoever calls does, by cancelling; the connection is then given up, as after any failure. On
    a Redis Cluster, where a command must find its node first, it goes through the client.
    """

    def __init__(self, client: "aioredis.Redis") -> None:
        """Take the client whose kind of connection is made."""
        self._client: Any = client
        self._pool: Any = getattr(client, "connection_pool", None)
        self._connection: Any = None

    async def execute(self, *command: Any) -> Any:
        """Return the reply to `command`. Raises what redis-py raises; never call it twice at a time."""
        if self._pool is None:
            return await self._client.execute_command(*command)
        if self._connection is None:
            self._connection = self._pool.make_connection()
            self._connection.socket_timeout = None
        connection = self._connection
        try:
            if not connection.is_connected:
                await connection.connect()
            await connection.send_packed_command([hiredis.pack_command(command)], check_health=False)
            return await connection.read_response()
        except ResponseError:
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.disconnect()
