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
from highwayman.serving.processes.local_pool import ServerOptions, local_arms, start_local_pool
from highwayman.serving.processes.supervised_process import Child, bindable

_ROUTER_PATIENCE_S = 25.0  # more than the router gives its workers, and they the requests under way

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Up:
    """What `highwayman up` was asked for."""

    host: str
    port: int
    state: Path
    redis_url: str | None  # None: the embedded Valkey
    pool: Path | None  # None: the local CPU pool
    serve_options: tuple[str, ...] = ()  # handed on to `highwayman serve`


async def up(wanted: Up, say: Callable[[str], None], ready: Callable[[], None]) -> None:
    """Run everything until SIGINT or SIGTERM; `ready` is called once the router answers.

    Raises:
        ConfigError: the state folder is in use, or a wheel is missing.
        ChildFailed: something did not come up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(wanted, stack, say))
        await _first(starting, asyncio.create_task(stop.wait()))
        if starting.done():
            starting.result()
            ready()
            await stop.wait()
        else:
            starting.cancel()
            await asyncio.wait({starting})
        say("stopping")
    say("stopped; what was learned is kept in " + str(wanted.state))


async def _first(*tasks: "asyncio.Task[object]") -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _start(wanted: Up, stack: AsyncExitStack, say: Callable[[str], None]) -> None:
    bindable(wanted.port, host=wanted.host)
    wanted.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    redis_url = wanted.redis_url
    if redis_url is None:
        valkey = EmbeddedValkey(wanted.state / "valkey")
        stack.push_async_callback(valkey.stop)
        await valkey.start()
        redis_url = valkey.url
        say("valkey is up")
    pool = wanted.pool
    if pool is None:
        local = await start_local_pool(ServerOptions(log_path=wanted.state / "local_pool.log"))
        stack.push_async_callback(local.stop)
        pool = wanted.state / "local_pool.yaml"
        pool.write_text(local_arms(local.url), encoding="utf-8")
        say("local model pool is up")
    router = Child("router", _serve_argv(wanted, pool), ready=lambda: _ready(wanted), env={"REDIS_URL": redis_url})
    stack.push_async_callback(router.stop, patience_s=_ROUTER_PATIENCE_S)
    await router.start()


def _serve_argv(wanted: Up, pool: Path) -> list[str]:
    base = [sys.executable, "-m", "highwayman.serving.cli.main", "serve", "--pool", str(pool)]
    return [*base, "--host", wanted.host, "--port", str(wanted.port), *wanted.serve_options]


async def _ready(wanted: Up) -> None:
    """Return if the router says it is ready. Raises StoreUnavailable or OSError as long as it does not."""
    host = "127.0.0.1" if wanted.host in ("0.0.0.0", "::") else wanted.host  # noqa: S104  (compared, not bound)
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(f"http://{host}:{wanted.port}/readyz") as response:
                if response.status != 200:
                    raise StoreUnavailable("not ready")
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error
