"""`highwayman up`: Valkey, the model pool and the router, started in that order, kept up, stopped in reverse."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from highwayman.env.errors import StoreUnavailable
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.local_pool import ServerOptions, local_pool_yaml, start_local_pool
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port

_ROUTER_PATIENCE_S = 25.0  # more than the router gives its workers, and they the requests under way

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `highwayman up` was asked for."""

    host: str
    port: int
    state: Path
    redis_url: str | None  # None: the embedded Valkey
    pool: Path | None  # None: the local CPU pool
    serve_options: tuple[str, ...] = ()  # handed on to `highwayman serve`


async def up(options: UpOptions, echo: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    """Run everything until SIGINT or SIGTERM; `on_ready` is called once the router answers.

    Raises:
        ConfigError: the state folder is in use, or a wheel is missing.
        ProcessFailed: something did not come up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(options, stack, echo))
        await _first(starting, asyncio.create_task(stop.wait()))
        if starting.done():
            starting.result()
            on_ready()
            await stop.wait()
        else:
            starting.cancel()
            await asyncio.wait({starting})
        echo("stopping")
    echo("stopped; what was learned is kept in " + str(options.state))


async def _first(*tasks: "asyncio.Task[object]") -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _start(options: UpOptions, stack: AsyncExitStack, echo: Callable[[str], None]) -> None:
    checked_port(options.port, host=options.host)
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    redis_url = options.redis_url
    if redis_url is None:
        valkey = EmbeddedValkey(options.state / "valkey")
        stack.push_async_callback(valkey.stop)
        await valkey.start()
        redis_url = valkey.url
        echo("valkey is up")
    pool = options.pool
    if pool is None:
        local = await start_local_pool(ServerOptions(log_path=options.state / "local_pool.log"))
        stack.push_async_callback(local.stop)
        pool = options.state / "local_pool.yaml"
        pool.write_text(local_pool_yaml(local.url), encoding="utf-8")
        echo("local model pool is up")
    router = SupervisedProcess(
        "router", _serve_argv(options, pool), probe=lambda: _ready(options), env={"REDIS_URL": redis_url}
    )
    stack.push_async_callback(router.stop, patience_s=_ROUTER_PATIENCE_S)
    await router.start()


def _serve_argv(options: UpOptions, pool: Path) -> list[str]:
    base = [sys.executable, "-m", "highwayman.serving.cli.main", "serve", "--pool", str(pool)]
    return [*base, "--host", options.host, "--port", str(options.port), *options.serve_options]


async def _ready(options: UpOptions) -> None:
    """Return if the router says it is ready. Raises StoreUnavailable or OSError as long as it does not."""
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104  (compared, not bound)
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://{host}:{options.port}/readyz") as response:
                if response.status != 200:
                    raise StoreUnavailable("not ready")
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error
