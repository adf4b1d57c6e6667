"""`highwayman serve`: the router on a pool of one's own, in one process or in several behind one port."""

import asyncio
import gc
import ipaddress
import logging
import os
from pathlib import Path

import click
import uvloop

from highwayman.env.errors import ConfigError
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.cli.loading import collector_at_rest
from highwayman.serving.cli.router.router_options import router_options, set_log_level
from highwayman.serving.metrics import adopt_worker_metrics
from highwayman.serving.processes.admin_listeners import admin_listeners
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.workers import (
    WorkerOptions,
    ensure_redis,
    forwarded_cli_options,
    inherited_sockets,
    run_workers,
)
from highwayman.serving.reload.config_files import ConfigFiles
from highwayman.serving.state.local_state import state_folder
from highwayman.serving.telemetry.json_logs import LogFormat, set_log_format
from highwayman.serving.wiring.settings import Settings

_KEYS_ENV = "HIGHWAYMAN_API_KEYS"

log = logging.getLogger(__name__)


@click.command()
@router_options
@click.option("--pool", "pool_file", type=click.Path(path_type=Path), default="pool.yaml", show_default=True,
              help="The models it routes to.")  # fmt: skip
@click.option("--learn/--no-learn", default=True, show_default=True, help="Stand for the learner's lease.")
@click.option("--seed", type=int, help="Of the draws, to repeat a run; worker k (from 0) has seed + k.")
@click.option("--banner/--no-banner", default=True, hidden=True, help="Whether it says where it listens.")
@click.option("--fd", "fds", type=int, multiple=True, hidden=True, help="Of a worker: a listening socket to serve.")
@click.option("--door", type=click.Path(path_type=Path), hidden=True, help="Of a worker: its own socket, made anew.")
def serve(  # noqa: PLR0913, PLR0917  (one parameter per option)
    host: str, port: int, admin_port: int | None, state_dir: Path | None, redis_url: str | None, config: Path | None,
    encoder: str | None,
    pool_file: Path, learn: bool, seed: int | None, workers: int, log_level: str, log_format: LogFormat | None,
    access_log: bool, banner: bool, fds: tuple[int, ...], door: Path | None,
) -> None:  # fmt: skip
    """Run the router on a pool of yours."""
    set_log_level(log_level)
    operators = frozenset(filter(None, (key.strip() for key in os.environ.get(_KEYS_ENV, "").split(","))))
    files = ConfigFiles(pool_file, config, encoder, admin_port).load()
    loaded, arms = files.config, files.pool.arms
    log_format = log_format or loaded.log_format
    set_log_format(log_format)
    state = state_dir or state_folder()
    said: list[asyncio.Future[None]] = []  # held, as the loop does not

    async def say_where() -> None:
        from highwayman.serving.cli.router.banner import namespace_facts, serve_banner  # noqa: PLC0415  (workers say none)

        settings = Settings(arms, redis_url or "", loaded, operators, learn, seed, state)
        told = await namespace_facts(redis_url or EmbeddedValkey(state / "valkey").url, loaded.namespace)
        embedded, pool = redis_url is None, str(pool_file)
        text = serve_banner(settings, host, port, workers=workers, embedded=embedded, pool=pool, told=told)
        click.echo(text, err=True)

    def on_listening() -> None:
        if log_format == "json":
            log.info("listens on %s, port %d, in %d process%s", host, port, workers, "" if workers == 1 else "es")
        elif banner and door is None and log_level in {"debug", "info"}:
            said.append(asyncio.ensure_future(say_where()))

    if workers > 1:
        options = forwarded_cli_options(click.get_current_context(), but={"workers", "redis_url", "seed", "banner"})
        drain_s = loaded.limits.drain_s
        if loaded.admin is not None:  # each worker listens there by itself: whether the port is free is told here
            for listener in admin_listeners(loaded.admin.host, loaded.admin.port, shared=False):
                listener.close()
        worker_options = WorkerOptions(workers, host, port, redis_url, state, seed, options, drain_s)
        asyncio.run(run_workers(worker_options, on_listening))
        return
    with collector_at_rest():
        from highwayman.serving.cli.router.run_router import run_router  # noqa: PLC0415  (whoever starts workers runs none)
    if door is not None:
        adopt_worker_metrics(door.stem)

    async def run() -> None:
        async with ensure_redis(redis_url, state) as url:
            for wanted in (host, *([] if loaded.admin is None else [loaded.admin.host])):
                if not operators and not _loopback(wanted):
                    await _need_keys(url, loaded.namespace, wanted)
            sockets = inherited_sockets(fds, door) if door is not None else None
            settings = Settings(arms, url, loaded, operators, learn, seed, state, loaded=files, named=files.pool.named)
            await run_router(settings, host, port, sockets, access_log=access_log, on_started=on_listening)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    gc.freeze()  # the process ends: nothing is left to be found by looking through all of it once more


async def _need_keys(url: str, namespace: str, host: str) -> None:
    """Raise ConfigError if nobody needs a key to use the router."""
    client = connect(url)
    try:
        api_keys = await KeyStore(client, namespace, Store(client, namespace)).all()
    finally:
        await client.aclose()
    if not api_keys:
        raise ConfigError(
            f"--host {host} is reachable from elsewhere; give keys out (`highwayman keys add`, while it runs "
            f"without --host), or set {_KEYS_ENV} (comma-separated), to open it"
        )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
