"""`highwayman serve --workers N`: router processes that share one port, kept up, and stopped together.

The parent answers no request. It holds the port's listening sockets, and a folder that ends with it: the workers'
counters, and a door for each of them, a Unix socket on which that very worker is asked whether it is ready.

Each worker has a listening socket of its own (SO_REUSEPORT); the kernel spreads connections over them by their
addresses. With one socket for all, who wakes first takes more, and keep-alive leaves it so: in trials with 4 to 64
connections of one client, one of 2 or 4 workers had them all every now and then. The price is that connections would
wait at the socket of a worker that is down; so the parent, which holds that socket, too, stands in for it.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import click
from click.core import ParameterSource

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.tasks import end
from highwayman.serving.metrics import SHARED_FOLDER, uncount
from highwayman.serving.processes.connection_forwarder import Post, StandIn
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.supervised_process import Child

_BACKLOG = 2048
_LONGEST_SOCKET_PATH = 100  # the kernel allows 107 bytes
_READY_WITHIN_S = 300.0  # an encoder may have a model to load, beside those of the other workers
_PATIENCE_S = 20.0  # with a worker that was told to end: more than it gives the requests under way


@dataclass(frozen=True, slots=True)
class Workers:
    """What `highwayman serve --workers` was asked for."""

    count: int
    host: str
    port: int
    redis_url: str | None  # None: the embedded Valkey
    state: Path
    seed: int | None  # worker k draws from seed + k
    options: tuple[str, ...]  # the other ones of `highwayman serve`, handed on


async def run_workers(wanted: Workers) -> None:
    """Keep the workers up until SIGINT or SIGTERM, then let them finish what is under way.

    Raises:
        ConfigError: the port cannot be had, or the state folder is in use.
        ChildFailed: a worker did not come up.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        starting, stopping = asyncio.create_task(_start(wanted, stack)), asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        else:
            await end(starting)


async def _start(wanted: Workers, stack: AsyncExitStack) -> None:
    sockets = listen(wanted.host, wanted.port, sets=wanted.count)
    redis_url = await stack.enter_async_context(redis_at(wanted.redis_url, wanted.state))
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="highwayman-", ignore_cleanup_errors=True)))
    posts = [Post(own, folder / f"{number}.sock") for number, own in enumerate(sockets)]
    stand_in = StandIn(posts)
    env = {"REDIS_URL": redis_url, SHARED_FOLDER: str(folder)}
    workers = [_worker(wanted, post, stand_in, env) for post in posts]
    stack.push_async_callback(_stop, workers, posts, stand_in)
    await workers[0].start()  # alone: what all of them would complain of is told once, what is cached is made once
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers[1:]:
                group.create_task(worker.start())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    stand_in.open()  # not before: connections that last would all go to the first worker


async def _stop(workers: Sequence[Child], posts: Sequence[Post], stand_in: StandIn) -> None:
    stand_in.close()
    for post in posts:
        for listener in post.listeners:  # before the workers close theirs: then a client is refused, not left waiting
            listener.close()
    await asyncio.gather(*(worker.stop(patience_s=_PATIENCE_S) for worker in workers))
    await stand_in.drain()


def _worker(wanted: Workers, post: Post, stand_in: StandIn, env: Mapping[str, str]) -> Child:
    if len(os.fsencode(post.door)) > _LONGEST_SOCKET_PATH:
        raise ConfigError(f"{post.door} is too long for a socket; set TMPDIR to a shorter path")
    name, fds = post.door.stem, [listener.fileno() for listener in post.listeners]
    own = [f"--door={post.door}", *(f"--fd={fd}" for fd in fds)]
    if wanted.seed is not None:
        own.append(f"--seed={wanted.seed + int(name)}")

    def tell(up: bool) -> None:
        if not up:
            uncount(name, post.door.parent)
        stand_in.changed(post, up=up)

    return Child(
        f"worker {name}",
        [sys.executable, "-m", "highwayman.serving.cli.main", "serve", *wanted.options, *own],
        ready=lambda: _answers(post.door),
        env=env,
        keep_open=fds,
        ready_within_s=_READY_WITHIN_S,
        tell=tell,
    )


async def _answers(door: Path) -> None:
    """Return if the worker behind the door is ready. Raises StoreUnavailable or OSError as long as it is not."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(door))) as session:
        try:
            async with session.get("http://worker/readyz") as response:
                if response.status != 200:
                    raise StoreUnavailable("not ready")
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error


def listen(host: str, port: int, *, sets: int) -> list[list[socket.socket]]:
    """Return so many sets of sockets that share the port, one socket for each address of `host` in each.

    Raises:
        ConfigError: the port cannot be had.
    """
    found: list[list[socket.socket]] = [[] for _ in range(sets)]
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            # Without sharing, first: another router of this user's would not mind sharing the port with us.
            socket.create_server(address, family=family).close()
            for own in found:
                own.append(socket.create_server(address, family=family, backlog=_BACKLOG, reuse_port=True))
                own[-1].setblocking(False)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise ConfigError(f"port {port} on {host} cannot be had ({reason}); give another") from error
    return found


def inherited(fds: Sequence[int], door: Path) -> list[socket.socket]:
    """Return what a worker serves: its parent's listening sockets, and its own door, bound anew."""
    door.unlink(missing_ok=True)
    own = socket.socket(socket.AF_UNIX)
    own.bind(str(door))
    return [own, *(socket.socket(fileno=fd) for fd in fds)]


@asynccontextmanager
async def redis_at(url: str | None, state: Path) -> AsyncIterator[str]:
    """Yield `url`, or without one the URL of an embedded Valkey that runs as long as the block."""
    if url is not None:
        yield url
        return
    valkey = EmbeddedValkey(state / "valkey")
    await valkey.start()
    try:
        yield valkey.url
    finally:
        await valkey.stop()


def handed_on(context: click.Context, *, but: Collection[str]) -> tuple[str, ...]:
    """Return the options this command was given, but for the parameters named, as words for another command line."""
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        if name in but or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append((option.opts if value else option.secondary_opts)[0])
        else:
            words += [f"{option.opts[0]}={one}" for one in (value if isinstance(value, tuple) else (value,))]
    return tuple(words)
