"""Connections to Redis or Valkey that never retry on their own: a retried write may have happened already."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, ClusterPubSub, RedisCluster
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ClusterError, RedisClusterException, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import str_if_bytes

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.feedback.log.redis.redis_urls import RedisTopology, RedisUrl, parse_redis_url

_SPARE = 8  # connections to a node of a Cluster beside those that commands take turns at: subscriptions, its map
_RESET = "the handler is closed"  # uvloop's words, in a plain RuntimeError, when one writes to such a connection
_LOST = (RedisConnectionError, RedisTimeoutError, ClusterError, RedisClusterException)


def connect(url: str, *, timeout_s: float = 5.0, connections: int = 64) -> "aioredis.Redis":
    """Return a client with a bounded pool that waits for a free connection, and no automatic retry.

    A Cluster's client follows redirections (MOVED, ASK), as what a node redirects it has not carried out. It offers
    what is used here of the plain client, but is none.

    Args:
        url: redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://.
        timeout_s: for connecting and for each answer; a blocking read needs more than its own block.
        connections: at most so many at a time; with a Cluster, to each of its nodes.

    Raises:
        ConfigError: the address cannot be followed.
    """
    redis_url = parse_redis_url(url)
    settings = {
        "protocol": 2,  # replies of one shape, on every server
        "max_connections": connections,
        "timeout": timeout_s,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        **redis_url.options,
    }
    make = {RedisTopology.SERVER: _server, RedisTopology.SENTINEL: _watched, RedisTopology.CLUSTER: _cluster}[
        redis_url.topology
    ]
    try:
        return make(redis_url, settings)
    except (TypeError, ValueError, RedisError, OSError) as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, OSError) else "redis-py does not know one"
        raise ConfigError(f"The options of the address of Redis cannot be followed ({reason}).") from None


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn every failure of Redis into StoreUnavailable, saying what failed."""
    try:
        yield
    except AuthenticationError as error:
        raise StoreUnavailable(f"Redis refused: {error}") from error
    except (RedisConnectionError, RedisTimeoutError, TimeoutError, OSError) as error:
        raise StoreUnavailable(f"Redis did not answer: {type(error).__name__}") from error
    except RuntimeError as error:
        if _RESET not in str(error):
            raise
        raise StoreUnavailable("Redis did not answer: the connection was reset") from error
    except (RedisError, RedisClusterException) as error:
        raise StoreUnavailable(f"Redis refused: {error}") from error


def _server(redis_url: RedisUrl, settings: Mapping[str, Any]) -> "aioredis.Redis":
    kind: type[AbstractConnection]
    if redis_url.path:
        address: dict[str, Any] = {"path": redis_url.path}
        kind = UnixDomainSocketConnection
    else:
        address = dict(zip(("host", "port"), redis_url.hosts[0], strict=True))
        kind = SSLConnection if redis_url.tls else Connection
    pool = aioredis.BlockingConnectionPool(connection_class=kind, **address, **settings)
    _check(kind, pool.connection_kwargs)
    return aioredis.Redis.from_pool(pool)


def _watched(redis_url: RedisUrl, settings: Mapping[str, Any]) -> "aioredis.Redis":
    shared = ("socket_", "ssl_", "protocol", "retry", "health_check_interval")
    asking = {name: value for name, value in settings.items() if name.startswith(shared)}
    asking |= redis_url.sentinel_options
    sentinel = Sentinel(redis_url.hosts, sentinel_kwargs={**asking, "ssl": redis_url.tls})  # type: ignore[no-untyped-call]
    client: aioredis.Redis = sentinel.master_for(
        redis_url.service, connection_pool_class=_WatchedPool, **settings, ssl=redis_url.tls
    )
    _check(SSLConnection if redis_url.tls else Connection, sentinel.sentinels[0].connection_pool.connection_kwargs)
    return client


def _cluster(redis_url: RedisUrl, settings: Mapping[str, Any]) -> "aioredis.Redis":
    options = dict(settings)
    wait_s, connections = options.pop("timeout"), options.pop("max_connections")
    client = _Cluster(
        startup_nodes=[ClusterNode(host, port) for host, port in redis_url.hosts],
        max_connections=connections + _SPARE,
        require_full_coverage=False,  # ours is one slot, and its node says so if it may not serve it
        reinitialize_steps=0,  # one MOVED tells all there is to know about one slot
        ssl=redis_url.tls,
        **options,
    )
    client.bound(connections, wait_s)
    node = client.startup_nodes[0]
    _check(node.connection_class, node.connection_kwargs)
    return cast("aioredis.Redis", client)


def _check(kind: type[AbstractConnection], options: Mapping[str, Any]) -> None:
    """Make a connection without connecting it, which refuses options that are unknown and files that are missing."""
    connection = kind(**options)
    if isinstance(connection, SSLConnection):
        connection.ssl_context.get()


class _WatchedPool(SentinelConnectionPool, aioredis.BlockingConnectionPool):
    """Connections to whichever server the Sentinels call the master; waits for a free one."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


class _Cluster(RedisCluster):
    """A Cluster's client that waits for a free connection, and asks for the map again after each failure."""

    def bound(self, connections: int, wait_s: float) -> None:
        """Let `connections` commands be under way at a time; the others wait up to `wait_s` seconds."""
        self.commands_parser = _FirstKey()  # type: ignore[assignment]
        self._turns = asyncio.Semaphore(connections)
        self._taken: set[asyncio.Task[Any] | None] = set()
        self._wait_s = wait_s

    @asynccontextmanager
    async def connection_slot(self) -> AsyncIterator[None]:
        """Wait for a connection; a redirected pipeline sends single commands within its own turn."""
        task = asyncio.current_task()
        if task in self._taken:
            yield
            return
        async with asyncio.timeout(self._wait_s):
            await self._turns.acquire()
        self._taken.add(task)
        try:
            yield
        finally:
            self._taken.discard(task)
            self._turns.release()

    async def initialize(self, *args: Any, **options: Any) -> "RedisCluster":
        if self._initialize:
            for node in self.startup_nodes:  # redis-py forgets those without slots, which may have some by now
                self.nodes_manager.startup_nodes.setdefault(node.name, node)
        try:
            return await super().initialize(*args, **options)
        except IndexError:
            raise RedisClusterException("no node of the Cluster has any slots") from None

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async with self.connection_slot():
            return await super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        return _ClusterPipeline(self, transaction)

    def pubsub(self, *args: Any, **options: Any) -> ClusterPubSub:
        return _ClusterPubSub(self, *args, **options)

    def look_again(self) -> None:
        """Ask for the map of slots before the next command."""
        self._initialize = True

    async def aclose(self) -> None:
        await super().aclose()
        await self.nodes_manager.aclose()  # also after a failure, when the map is to be asked for again
        await self.nodes_manager.aclose("startup_nodes")


class _FirstKey:
    """Says where a command goes: to its first key's node, as all keys of ours are in one slot.

    redis-py's own way asks a node what its commands are, which needs that node to be up, and once more for each XREAD.
    """

    async def initialize(self, node: ClusterNode) -> None:
        """Learn nothing from `node`."""

    async def get_keys(self, command: str, *args: Any) -> tuple[Any, ...]:
        if command.upper() == "XREAD":
            args = args[1 + [str(str_if_bytes(arg)).upper() for arg in args].index("STREAMS") :]
        return args[:1]


class _ClusterPipeline(ClusterPipeline):
    _event_dispatcher: Any = None  # redis-py declares it, gives pipelines none, and does not miss it

    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:
        """Return the replies; as with the plain client, a lost connection is raised whatever was asked."""
        client = cast("_Cluster", self.cluster_client)
        try:
            async with client.connection_slot():
                replies = await super().execute(False, allow_redirections)
            for reply in replies:
                if isinstance(reply, _LOST) or (raise_on_error and isinstance(reply, Exception)):
                    raise reply
        except _LOST:
            client.look_again()
            raise
        return replies


class _ClusterPubSub(ClusterPubSub):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        await self.cluster.initialize()
        return await super().execute_command(*args, **options)
