import asyncio
import contextlib
import os
import signal
import traceback
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import quote

import pytest

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.feedback.log.redis.redis import connect, redis_errors
from highwayman.feedback.log.redis.redis_urls import RedisTopology, parse_redis_url
from tests.ports import free_port
from tests.redis_servers import PASSWORD, SERVICE, cluster, sentinel, valkey

pytest_plugins = ["tests.redis_servers"]

_INCREMENTED = "redis.call('INCR', KEYS[1]) return redis.call('INCR', KEYS[2])"
_ALL_AT_ONCE_S = 1.0  # much less than the five seconds that an answer may take
_KINDS = ["redis", "redis+sentinel", "redis+cluster"]


class Keys:
    """Names of keys in one slot that the user of tls_acl may use."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def __call__(self, name: str) -> str:
        return f"highwayman:{{{self._namespace}}}:{name}"


@pytest.fixture
def keys(namespace: str) -> Keys:
    return Keys(namespace)


@pytest.fixture
async def client(any_redis_url: str) -> AsyncIterator[Any]:
    client = connect(any_redis_url)
    yield client
    await client.aclose()


async def test_what_was_set_is_read_as_bytes(client: Any, keys: Keys) -> None:
    assert await client.set(keys("a"), "1")
    assert await client.get(keys("a")) == b"1"
    await client.hset(keys("h"), mapping={"x": "1", "y": "2"})
    assert await client.hgetall(keys("h")) == {b"x": b"1", b"y": b"2"}


async def test_a_script_takes_several_keys_of_one_hash_tag(client: Any, keys: Keys) -> None:
    lua = client.register_script(_INCREMENTED)
    assert await lua(keys=[keys("a"), keys("b")], args=[]) == 1
    assert await client.eval(_INCREMENTED, 2, keys("a"), keys("b")) == 2


async def test_a_blocked_reader_is_woken_by_what_is_added(client: Any, keys: Keys) -> None:
    reading = asyncio.create_task(client.xread({keys("log"): "0-0"}, count=10, block=4000))
    await _blocked(client)
    event_id = await client.xadd(keys("log"), {"e": b"\xff"})
    assert await reading == [[keys("log").encode(), [(event_id, {b"e": b"\xff"})]]]
    assert await client.xread({keys("log"): event_id}, count=10, block=10) == []


async def test_what_a_script_publishes_reaches_subscribers(client: Any, keys: Keys) -> None:
    async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(keys("channel"))
        while await client.eval("return redis.call('PUBLISH', ARGV[1], 'news')", 1, keys("a"), keys("channel")) == 0:
            await asyncio.sleep(0.01)  # until the subscription has come through
        assert await _message(pubsub) == b"news"
        assert await pubsub.get_message(timeout=0.01) is None


async def test_a_pipeline_replies_in_order(client: Any, keys: Keys) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("SET", keys("a"), "1")
    pipeline.execute_command("EVAL", _INCREMENTED, 2, keys("a"), keys("b"))
    pipeline.execute_command("GET", keys("a"))
    assert (await pipeline.execute())[1:] == [1, b"2"]


async def test_a_refused_command_of_a_pipeline_is_an_exception_among_its_replies_if_so_asked(
    client: Any, keys: Keys
) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("EVALSHA", "0" * 40, 1, keys("a"))
    pipeline.execute_command("INCR", keys("a"))
    refused, done = await pipeline.execute(raise_on_error=False)
    assert (type(refused).__name__, done) == ("NoScriptError", 1)


async def test_a_refused_command_of_a_pipeline_is_store_unavailable_else(client: Any, keys: Keys) -> None:
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("EVALSHA", "0" * 40, 1, keys("a"))
    with pytest.raises(StoreUnavailable, match="refused"), redis_errors():
        await pipeline.execute()


async def test_a_cancelled_command_leaves_its_reply_to_nobody(any_redis_url: str, keys: Keys) -> None:
    async with _connected(any_redis_url, connections=1) as client, _connected(any_redis_url) as other:
        await client.set(keys("a"), "1")
        reading = asyncio.create_task(client.xread({keys("log"): "0-0"}, block=4000))
        await _blocked(other)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await client.xadd(keys("log"), {"e": "1"})
        assert [await client.get(keys("a")) for _ in range(3)] == [b"1"] * 3


async def test_a_full_pool_waits(any_redis_url: str, keys: Keys) -> None:
    async with _connected(any_redis_url, connections=2) as client, _connected(any_redis_url) as other:
        blocked = [asyncio.create_task(client.xread({keys("log"): "0-0"}, block=4000)) for _ in range(2)]
        await _blocked(other, count=2)
        waiting = [asyncio.create_task(_command(client, keys("a"))) for _ in range(3)]
        assert not (await asyncio.wait(waiting, timeout=0.1, return_when=asyncio.FIRST_COMPLETED))[0]
        await other.xadd(keys("log"), {"e": "1"})
        assert sorted(await asyncio.gather(*waiting)) == [1, 2, 3]
        assert all(await asyncio.gather(*blocked))
        assert sorted(await asyncio.gather(*(_command(client, keys("a")) for _ in range(50)))) == list(range(4, 54))


async def test_a_pool_that_stays_full_is_store_unavailable(any_redis_url: str, keys: Keys) -> None:
    patient = _with_options(any_redis_url, "socket_timeout=5&socket_connect_timeout=5")
    async with _connected(patient, connections=1, timeout_s=0.1) as client, _connected(any_redis_url) as other:
        await client.set(keys("a"), "1")
        blocked = asyncio.create_task(client.xread({keys("log"): "0-0"}, block=4000))
        await _blocked(other)
        with pytest.raises(StoreUnavailable), redis_errors():
            await client.get(keys("a"))
        blocked.cancel()
        await asyncio.wait([blocked])
        assert await client.get(keys("a")) == b"1"


async def test_a_write_to_a_server_that_stalls_is_sent_once(any_redis_url: str, keys: Keys) -> None:
    """The server goes on while a client that tries again would still be trying."""
    async with _connected(_with_options(any_redis_url, "socket_connect_timeout=5"), timeout_s=0.4) as client:
        writes = [_command, _pipelined, _scripted]
        names = [keys(write.__name__) for write in writes]
        await asyncio.gather(*(client.set(name, 0) for name in names))  # so that the connections are there
        with _stalled(await _process_id(client), for_s=0.8) as resumed:
            calls = (write(client, name) for write, name in zip(writes, names, strict=True))
            refused = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(one) for one in refused] == [StoreUnavailable] * 3
            await resumed.wait()
        assert [await client.get(name) for name in names] == [b"1"] * 3


@pytest.mark.parametrize("serving", [valkey, sentinel, cluster])
async def test_a_server_that_goes_is_store_unavailable_at_once(serving: Any, keys: Keys) -> None:
    async with serving() as url, _connected(url) as client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(keys("channel"))
        blocked = asyncio.create_task(_translated(client.xread({keys("log"): "0-0"}, block=4000)))
        await client.set(keys("a"), "1")
        os.kill(await _process_id(client), signal.SIGKILL)
        async with asyncio.timeout(_ALL_AT_ONCE_S):
            for call in (_command, _pipelined, _scripted):
                with pytest.raises(StoreUnavailable):
                    await call(client, keys("a"))
            with pytest.raises(StoreUnavailable):
                await blocked
            with pytest.raises(StoreUnavailable), redis_errors():
                await _message(pubsub)


@pytest.mark.parametrize("scheme", ["unix", *_KINDS, *(kind.replace("redis", "rediss", 1) for kind in _KINDS)])
async def test_nobody_there_is_store_unavailable_at_once(scheme: str, keys: Keys, tmp_path: object) -> None:
    service = SERVICE if scheme.endswith("sentinel") else ""
    hosts = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2 if "+" in scheme else 1))
    url = f"unix://{tmp_path}/nobody.sock" if scheme == "unix" else f"{scheme}://u:{_quoted()}@{hosts}/{service}"
    async with _connected(url) as client, asyncio.timeout(_ALL_AT_ONCE_S):
        for call in (_command, _pipelined, _scripted):
            with pytest.raises(StoreUnavailable, match="Redis") as raised:
                await call(client, keys("a"))
            assert PASSWORD not in "".join(traceback.format_exception(raised.value))


async def test_a_slot_that_moved_is_written_to_once_and_found_even_when_its_old_node_is_gone(keys: Keys) -> None:
    async with cluster(nodes=2) as url, _connected(url) as client, contextlib.AsyncExitStack() as stack:
        hosts = [f"redis://{host}" for host in url.removeprefix("redis+cluster://").split(",")]
        old, new = [await stack.enter_async_context(_connected(host)) for host in hosts]
        calls, gone = [_command, _pipelined, _scripted], Keys("gone")
        for key in (keys("a"), gone("a")):
            await client.get(key)  # so that the client knows where its slot was
            slot, new_id = await old.cluster("KEYSLOT", key), await new.cluster("MYID")
            for node in (new, old):
                await node.cluster("SETSLOT", slot, "NODE", new_id)
        for call in calls:
            await call(client, keys("a"))
        assert await new.get(keys("a")) == b"3"
        os.kill(await _process_id(old), signal.SIGKILL)
        with pytest.raises(StoreUnavailable):
            await _pipelined(client, gone("a"))
        for call in calls:
            await call(client, gone("a"))
        assert await new.get(gone("a")) == b"3"


@pytest.mark.parametrize("any_redis_url", ["tls_acl"], indirect=True)
async def test_a_user_who_may_not_is_refused_and_told_so_without_the_password(any_redis_url: str, keys: Keys) -> None:
    wrong = any_redis_url.replace(_quoted(), "wr0ng")
    async with _connected(any_redis_url) as client, _connected(wrong) as stranger:
        for call, why in [
            (client.get("elsewhere"), "refused"),
            (client.flushall(), "refused"),
            (client.publish("elsewhere", "x"), "refused"),
            (stranger.get(keys("a")), "refused: "),
        ]:
            with pytest.raises(StoreUnavailable, match=why) as raised:
                await _translated(call)
            told = "".join(traceback.format_exception(raised.value))
            assert PASSWORD not in told
            assert "wr0ng" not in told
        assert PASSWORD not in repr(client)


@pytest.mark.parametrize("any_redis_url", ["tls_acl"], indirect=True)
async def test_a_certificate_nobody_vouches_for_is_refused(any_redis_url: str, keys: Keys) -> None:
    async with _connected(any_redis_url.partition("?")[0]) as client:
        with pytest.raises(StoreUnavailable):
            await _command(client, keys("a"))


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "no scheme"),
        ("user:SECRET@host:6379", "no scheme"),
        ("SECRET://host", "no scheme"),
        ("http://user:SECRET@host", "scheme 'http'"),
        ("redis://user:SECRET@host:port", "port"),
        ("redis://user:SECRET@host:99999", "port"),
        ("redis://user:SECRET@:6379", "without a host"),
        ("redis://user:SECRET@[::1", "host"),
        ("redis://user:SEC#RET@host", "%23"),
        ("redis://user:SECRET/SECRET@host", "%2F"),
        ("redis://user:SECRET@host1,host2", r"redis\+cluster"),
        ("redis://user:SECRET@host/zero", "number of a database"),
        ("redis://user:SECRET@host?db=SECRET", "'db'"),
        ("redis://user:SECRET@host?retry_on_timeout=yes", "option that is none of"),
        ("redis://user:SECRET@host?protocol=3", "option that is none of"),
        ("redis://user:SECRET@host?ssl_ca_certs=ca.crt", "option that is none of"),
        ("rediss://user:SECRET@host?ssl_nonsense=SECRET", "options"),
        ("rediss://user:SECRET@host?ssl_cert_reqs=SECRET", "options"),
        ("rediss://user:SECRET@host?ssl_ca_certs=/nowhere/ca.crt", "options.*No such file"),
        ("unix://", "path"),
        ("unix://redis.sock", "path"),
        (f"unix:///{'x' * 107}", "longer than the 107 bytes"),
        ("redis+sentinel://user:SECRET@host:26379", "service"),
        ("redis+sentinel://user:SECRET@host:26379/service/zero", "number of a database"),
        ("redis+sentinel://user:SECRET@host1,,host2/service", "name a host"),
        ("rediss+sentinel://user:SECRET@host/service?ssl_ca_certs=/nowhere/ca.crt", "options.*No such file"),
        ("redis+cluster://user:SECRET@host1,host2/1", "database"),
        ("redis+cluster://user:SECRET@host1,host2?db=1", "option that is none of"),
        ("redis+cluster://user:SECRET@", "name a host"),
        ("rediss+cluster://user:SECRET@host?ssl_ca_certs=/nowhere/ca.crt", "options.*No such file"),
    ],
)
def test_an_address_that_cannot_be_followed_is_a_config_error_without_the_password(url: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        connect(url)
    assert "SECRET" not in "".join(traceback.format_exception(raised.value)).replace(f'"{url}"', "")


@pytest.mark.parametrize("scheme", ["redis", "unix", "redis+sentinel", "redis+cluster", "rediss+cluster"])
def test_a_wrong_address_is_answered_with_a_right_one(scheme: str) -> None:
    with pytest.raises(ConfigError) as raised:
        connect(f"{scheme}://h/s/x?nonsense=1")
    shown = str(raised.value).partition("A right one: ")[2]
    assert shown.startswith(f"{scheme}://")
    assert parse_redis_url(shown)


def test_an_address_of_sentinels_is_taken_apart() -> None:
    found = parse_redis_url(
        "rediss+sentinel://us%40er:p%2Fw@one,[::1]:5/main/3?ssl_check_hostname=no&sentinel_password=sp"
    )
    assert (found.topology, found.tls, found.service) == (RedisTopology.SENTINEL, True, "main")
    assert found.hosts == (("one", 26379), ("::1", 5))
    assert found.options == {"db": 3, "username": "us@er", "password": "p/w", "ssl_check_hostname": False}
    assert found.sentinel_options == {"password": "sp"}
    assert "p/w" not in repr(found)


def test_addresses_have_the_usual_defaults() -> None:
    assert parse_redis_url("redis://").hosts == (("localhost", 6379),)
    assert parse_redis_url("redis+cluster://one,two:7000/0").hosts == (("one", 6379), ("two", 7000))
    assert parse_redis_url("unix:///run/redis.sock?db=2&password=p").options == {"db": 2, "password": "p"}


@contextlib.asynccontextmanager
async def _connected(url: str, **options: Any) -> AsyncIterator[Any]:
    client: Any = connect(url, **options)
    try:
        yield client
    finally:
        await client.aclose()


def _with_options(url: str, options: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{options}"


@contextlib.contextmanager
def _stalled(pid: int, *, for_s: float) -> Any:
    """Stop a process for a while; yields the event of its going on."""
    resumed = asyncio.Event()

    def resume() -> None:
        os.kill(pid, signal.SIGCONT)
        resumed.set()

    os.kill(pid, signal.SIGSTOP)
    later = asyncio.get_running_loop().call_later(for_s, resume)
    try:
        yield resumed
    finally:
        later.cancel()
        os.kill(pid, signal.SIGCONT)


async def _blocked(client: Any, *, count: int = 1) -> None:
    """Return once so many clients of the server wait in a blocking read."""
    async with asyncio.timeout(10):
        while await _info(client, "clients", "blocked_clients") != count:
            await asyncio.sleep(0.005)  # between two questions


async def _process_id(client: Any) -> int:
    return await _info(client, "server", "process_id")


async def _info(client: Any, section: str, name: str) -> int:
    found = await client.info(section)
    return int(found[name] if name in found else next(iter(found.values()))[name])


async def _translated(call: Awaitable[Any]) -> Any:
    with redis_errors():
        return await call


async def _command(client: Any, key: str) -> Any:
    return await _translated(client.execute_command("INCR", key))


async def _pipelined(client: Any, key: str) -> Any:
    pipeline = client.pipeline(transaction=False)
    pipeline.execute_command("INCR", key)
    return await _translated(pipeline.execute(raise_on_error=False))


async def _scripted(client: Any, key: str) -> Any:
    return await _translated(client.eval("return redis.call('INCR', KEYS[1])", 1, key))


async def _message(pubsub: Any) -> bytes:
    while True:
        message = await pubsub.get_message(timeout=0.5)
        if message is not None:
            return bytes(message["data"])


def _quoted() -> str:
    return quote(PASSWORD, safe="")
