"""`highwayman serve --workers N`: router processes that share one port, kept up, and stopped together.

The parent answers no request. It holds the port's listening sockets, and a folder that ends with it: the workers'
counters, and a Unix socket for each of them, on which that very worker is asked whether it is ready.

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
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import click
from click.core import ParameterSource

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.tasks import cancel_and_wait
from highwayman.serving.http.server import GRACE_S
from highwayman.serving.metrics import SHARED_FOLDER, drop_live_gauges
from highwayman.serving.processes.connection_forwarder import ConnectionForwarder, WorkerSlot
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.hangup import pass_on_hangups
from highwayman.serving.processes.supervised_process import ProcessOptions, SupervisedProcess

_BACKLOG = 2048
_LONGEST_SOCKET_PATH = 100  # the kernel allows 107 bytes
_READY_WITHIN_S = 300.0  # an encoder may have a model to load, beside those of the other workers


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What `highwayman serve --workers` was asked for."""

    count: int
    host: str
    port: int
    redis_url: str | None  # None: the embedded Valkey
    state: Path
    seed: int | None  # worker k draws from seed + k
    options: tuple[str, ...]  # the other ones of `highwayman serve`, handed on
    drain_s: float = 60.0  # how long a worker that was told to end lets the requests under way go on


async def run_workers(options: WorkerOptions, on_ready: Callable[[], None] = lambda: None) -> None:
    """Keep the workers up until SIGINT or SIGTERM, then let them finish what is under way; a second one hurries them.

    SIGHUP has them read their files again.

    `on_ready` is called once all of them answer.

    Raises:
        ConfigError: the port cannot be had, or the state folder is in use.
        ProcessFailed: a worker did not come up.
    """
    stop, workers = asyncio.Event(), list[SupervisedProcess]()

    def on_signal() -> None:
        if stop.is_set():
            for worker in workers:
                worker.terminate()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    pass_on_hangups(workers)
    async with AsyncExitStack() as stack:
        starting, stopping = asyncio.create_task(_start(options, stack, workers)), asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            on_ready()
            await stopping
        else:
            await cancel_and_wait(starting)


async def _start(options: WorkerOptions, stack: AsyncExitStack, workers: list[SupervisedProcess]) -> None:
    """Start everything, and put the workers into `workers`."""
    sockets = open_listeners(options.host, options.port, sets=options.count)
    redis_url = await stack.enter_async_context(ensure_redis(options.redis_url, options.state))
    folder = Path(stack.enter_context(TemporaryDirectory(prefix="highwayman-", ignore_cleanup_errors=True)))
    slots = [WorkerSlot(listeners, folder / f"{number}.sock") for number, listeners in enumerate(sockets)]
    forwarder = ConnectionForwarder(slots)
    env = {"REDIS_URL": redis_url, SHARED_FOLDER: str(folder)}
    workers += [_worker(options, slot, forwarder, env) for slot in slots]
    stack.push_async_callback(_stop, workers, slots, forwarder)
    await workers[0].start()  # alone: an error they would all raise is reported once, what is cached is made once
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers[1:]:
                group.create_task(worker.start())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    forwarder.open()  # not before: connections that last would all go to the first worker


async def _stop(
    workers: Sequence[SupervisedProcess], slots: Sequence[WorkerSlot], forwarder: ConnectionForwarder
) -> None:
    forwarder.close()
    for slot in slots:
        for listener in slot.listeners:  # before the workers close theirs: then a client is refused, not left waiting
            listener.close()
    await asyncio.gather(*(worker.stop() for worker in workers))
    await forwarder.drain()


def _worker(
    options: WorkerOptions, slot: WorkerSlot, forwarder: ConnectionForwarder, env: Mapping[str, str]
) -> SupervisedProcess:
    if len(os.fsencode(slot.socket_path)) > _LONGEST_SOCKET_PATH:
        raise ConfigError(f"{slot.socket_path} is too long for a socket; set TMPDIR to a shorter path")
    name, fds = slot.socket_path.stem, [listener.fileno() for listener in slot.listeners]
    own_options = [f"--door={slot.socket_path}", *(f"--fd={fd}" for fd in fds)]
    if options.seed is not None:
        own_options.append(f"--seed={options.seed + int(name)}")

    def on_state_change(up: bool) -> None:
        if not up:
            drop_live_gauges(name, slot.socket_path.parent)
        forwarder.on_state_change(slot, up=up)

    return SupervisedProcess(
        f"worker {name}",
        [sys.executable, "-m", "highwayman.serving.cli.main", "serve", *options.options, *own_options],
        probe=lambda: _answers(slot.socket_path),
        env=env,
        keep_open=fds,
        ready_within_s=_READY_WITHIN_S,
        on_state_change=on_state_change,
        options=ProcessOptions(patience_s=options.drain_s + GRACE_S),
    )


async def _answers(socket_path: Path) -> None:
    """Return if the worker at the socket is ready. Raises StoreUnavailable or OSError as long as it is not."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket_path))) as session:
        try:
            async with session.get("http://worker/readyz") as response:
                if response.status != 200:
                    raise StoreUnavailable("not ready")
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error


def open_listeners(host: str, port: int, *, sets: int) -> list[list[socket.socket]]:
    """Return so many sets of sockets that share the port, one socket for each address of `host` in each.

    Raises:
        ConfigError: the port cannot be had.
    """
    listener_sets: list[list[socket.socket]] = [[] for _ in range(sets)]
    try:
        for family, *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            # Without sharing, first: another router of this user's would not mind sharing the port with us.
            socket.create_server(address, family=family).close()
            for listeners in listener_sets:
                listeners.append(socket.create_server(address, family=family, backlog=_BACKLOG, reuse_port=True))
                listeners[-1].setblocking(False)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise ConfigError(f"port {port} on {host} cannot be had ({reason}); give another") from error
    return listener_sets


def inherited_sockets(fds: Sequence[int], socket_path: Path) -> list[socket.socket]:
    """Return what a worker serves: its parent's listening sockets, and its own Unix socket, bound anew."""
    socket_path.unlink(missing_ok=True)
    own_socket = socket.socket(socket.AF_UNIX)
    own_socket.bind(str(socket_path))
    return [own_socket, *(socket.socket(fileno=fd) for fd in fds)]


@asynccontextmanager
async def ensure_redis(url: str | None, state: Path) -> AsyncIterator[str]:
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


def forwarded_cli_options(context: click.Context, *, but: Collection[str]) -> tuple[str, ...]:
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
            words += [f"{option.opts[0]}={item}" for item in (value if isinstance(value, tuple) else (value,))]
    return tuple(words)
