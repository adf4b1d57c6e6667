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
from highwayman.serving.http.server import GRACE_S
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.hangup import pass_on_hangups
from highwayman.serving.processes.local_pool import ServerOptions, local_pool_config, local_pool_yaml, start_local_pool
from highwayman.serving.processes.supervised_process import ProcessOptions, SupervisedProcess, checked_port

_ROUTER_GRACE_S = GRACE_S + 10.0  # beside the drain: more than the router gives its workers

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `highwayman up` was asked for."""

    host: str
    port: int
    state: Path
    redis_url: str | None  # None: the embedded Valkey
    pool: Path | None  # None: the local CPU pool
    config: Path | None  # None: what suits the local pool, or else the default
    drain_s: float = 60.0  # how long the router, told to end, lets the requests under way go on
    serve_options: tuple[str, ...] = ()  # handed on to `highwayman serve`


async def up(options: UpOptions, echo: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    """Run everything until SIGINT or SIGTERM (a second one hurries it); `on_ready` is called once the router answers.

    Raises:
        ConfigError: the state folder is in use, or a wheel is missing.
        ProcessFailed: something did not come up.
    """
    stop, routers = asyncio.Event(), list[SupervisedProcess]()

    def on_signal() -> None:
        if stop.is_set():
            for router in routers:
                router.terminate()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    pass_on_hangups(routers)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(options, stack, echo, routers))
        await _first(starting, asyncio.create_task(stop.wait()))
        if starting.done():
            starting.result()
            on_ready()
            await stop.wait()
        else:
            starting.cancel()
            await asyncio.wait({starting})
        echo(f"stopping; answers under way may take {options.drain_s:g} s more (told again, none)")
    echo("stopped; what was learned is kept in " + str(options.state))


async def _first(*tasks: "asyncio.Task[object]") -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _start(
    options: UpOptions, stack: AsyncExitStack, echo: Callable[[str], None], routers: list[SupervisedProcess]
) -> None:
    """Start everything, and put the router into `routers`."""
    checked_port(options.port, host=options.host)
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    redis_url = options.redis_url
    if redis_url is None:
        valkey = EmbeddedValkey(options.state / "valkey")
        stack.push_async_callback(valkey.stop)
        await valkey.start()
        redis_url = valkey.url
        echo("valkey is up")
    pool, config = options.pool, options.config
    if pool is None:
        local = await start_local_pool(ServerOptions(log_path=options.state / "local_pool.log"))
        stack.push_async_callback(local.stop)
        pool = options.state / "local_pool.yaml"
        pool.write_text(local_pool_yaml(local.url), encoding="utf-8")
        if config is None:
            config = options.state / "local_pool_config.yaml"
            config.write_text(local_pool_config(), encoding="utf-8")
        echo("local model pool is up")
    router = SupervisedProcess(
        "router",
        _serve_argv(options, pool, config),
        probe=lambda: _ready(options),
        env={"REDIS_URL": redis_url},
        options=ProcessOptions(patience_s=options.drain_s + _ROUTER_GRACE_S),
    )
    routers.append(router)
    stack.push_async_callback(router.stop)
    await router.start()


def _serve_argv(options: UpOptions, pool: Path, config: Path | None) -> list[str]:
    base = [sys.executable, "-m", "highwayman.serving.cli.main", "serve", "--no-banner", "--pool", str(pool)]
    base += [] if config is None else ["--config", str(config)]
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
