"""Connections to Redis or Valkey that never retry on their own: a retried write may have happened already."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from highwayman.env.errors import StoreUnavailable

_CONNECTIONS = 64


def connect(url: str, *, timeout_s: float = 5.0) -> "aioredis.Redis":
    """Return a client with a bounded pool that waits for a free connection, and no automatic retry.

    Args:
        url: redis://, rediss:// or unix://.
        timeout_s: for connecting and for each answer; a blocking read needs more than its own block.
    """
    pool = aioredis.BlockingConnectionPool.from_url(
        url,
        protocol=2,  # replies of one shape, on every server
        max_connections=_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return aioredis.Redis.from_pool(pool)


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn every failure of Redis into StoreUnavailable, saying what failed."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, TimeoutError, OSError) as error:
        raise StoreUnavailable(f"Redis did not answer: {type(error).__name__}") from error
    except RedisError as error:
        raise StoreUnavailable(f"Redis refused: {error}") from error


def script(client: "aioredis.Redis", name: str) -> Any:
    """Return the Lua script `name`.lua of this folder, callable with keys and args."""
    return client.register_script(resources.files(__package__).joinpath(f"{name}.lua").read_text())
