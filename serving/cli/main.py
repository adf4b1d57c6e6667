"""The command line: `highwayman up | serve | top | pool`."""

import asyncio
import ipaddress
import logging
import os
import socket
from dataclasses import replace
from pathlib import Path

import click
import uvloop
from rich.console import Console

from highwayman import __version__
from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import load_pool
from highwayman.feedback.log.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.app import Application
from highwayman.serving.cli.context import STATE_DIR
from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.cli.evaluate import evaluate
from highwayman.serving.cli.export import export_command
from highwayman.serving.cli.feedback import feedback
from highwayman.serving.cli.judge import judge
from highwayman.serving.cli.keys import keys
from highwayman.serving.cli.log import erase, learn, rebuild
from highwayman.serving.cli.policies import policies
from highwayman.serving.cli.pool import pool
from highwayman.serving.cli.prior import prior
from highwayman.serving.cli.replay import replay
from highwayman.serving.cli.simulate import simulate
from highwayman.serving.cli.snapshot import snapshot
from highwayman.serving.cli.top import run_top
from highwayman.serving.config.config import EncoderConfig, load_config
from highwayman.serving.http.drain import Drain
from highwayman.serving.http.server import TELLING_S, DrainingServer, end_after_failure, server_config
from highwayman.serving.metrics import adopt_worker_metrics
from highwayman.serving.processes.supervisor import UpOptions, up
from highwayman.serving.processes.workers import (
    WorkerOptions,
    ensure_redis,
    forwarded_cli_options,
    inherited_sockets,
    run_workers,
)
from highwayman.serving.services import BackgroundTaskFailed
from highwayman.serving.state.local_state import state_folder
from highwayman.serving.wiring.settings import Settings

DEFAULT_PORT = 8790
_KEYS_ENV = "HIGHWAYMAN_API_KEYS"

_port = click.option("--port", type=click.IntRange(1, 65535), default=DEFAULT_PORT, show_default=True)
_host = click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback, needs API keys.")
_state = click.option("--state-dir", type=STATE_DIR, help="Where the embedded Valkey keeps its data.")
_redis = click.option("--redis-url", envvar="REDIS_URL", help="A Redis or Valkey to use instead of the embedded one.")
_config = click.option("--config", type=click.Path(path_type=Path, exists=True), help="highwayman.yaml")
_encoder = click.option("--encoder", help="static | onnx | transformers | module:Class")
_workers = click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Router processes behind the port."
)


@click.group(cls=PlainErrorGroup)
@click.version_option(__version__)
def main() -> None:
    """Highwayman: a REST router that learns which language model should answer."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


for command in (
    pool, policies, prior, keys, feedback, judge, export_command, learn, rebuild, erase, snapshot, simulate, replay,
    evaluate,
):  # fmt: skip
    main.add_command(command)


@main.command("up")
@_host
@_port
@_state
@_redis
@_config
@_encoder
@_workers
@click.option(
    "--pool", "pool_file", type=click.Path(path_type=Path, exists=True), help="Instead of the local CPU pool."
)
def up_command(  # noqa: PLR0917  (one parameter per option)
    host: str, port: int, state_dir: Path | None, redis_url: str | None, config: Path | None, encoder: str | None,
    workers: int, pool_file: Path | None,
) -> None:  # fmt: skip
    """Start Valkey, a local pool of real models and the router: everything on this machine."""
    options = forwarded_cli_options(click.get_current_context(), but={"host", "port", "redis_url", "pool_file"})
    up_options = UpOptions(
        host, port, state_dir or state_folder(), redis_url, pool_file, load_config(config).limits.drain_s, options
    )
    console = Console(stderr=True)
    asyncio.run(up(up_options, lambda text: console.print(f"[dim]{text}"), lambda: click.echo(_banner(port))))


@main.command()
@_host
@_port
@_state
@_redis
@_config
@_encoder
@click.option("--pool", "pool_file", type=click.Path(path_type=Path), default="pool.yaml", show_default=True)
@click.option("--learn/--no-learn", default=True, show_default=True, help="Stand for the learner's lease.")
@click.option("--seed", type=int, help="Of the draws, to repeat a run; worker k (from 0) has seed + k.")
@_workers
@click.option("--fd", "fds", type=int, multiple=True, hidden=True, help="Of a worker: a listening socket to serve.")
@click.option("--door", type=click.Path(path_type=Path), hidden=True, help="Of a worker: its own socket, made anew.")
def serve(  # noqa: PLR0913, PLR0917  (one parameter per option)
    host: str, port: int, state_dir: Path | None, redis_url: str | None, config: Path | None, encoder: str | None,
    pool_file: Path, learn: bool, seed: int | None, workers: int, fds: tuple[int, ...], door: Path | None,
) -> None:  # fmt: skip
    """Run the router on a pool of yours."""
    operators = frozenset(filter(None, (key.strip() for key in os.environ.get(_KEYS_ENV, "").split(","))))
    loaded = load_config(config)
    if encoder is not None:
        loaded = loaded.model_copy(update={"encoder": EncoderConfig(engine=encoder)})
    arms = load_pool(pool_file).arms
    state = state_dir or state_folder()
    if workers > 1:
        options = forwarded_cli_options(click.get_current_context(), but={"workers", "redis_url", "seed"})
        drain_s = loaded.limits.drain_s
        asyncio.run(run_workers(WorkerOptions(workers, host, port, redis_url, state, seed, options, drain_s)))
        return
    if door is not None:
        adopt_worker_metrics(door.stem)

    async def run() -> None:
        async with ensure_redis(redis_url, state) as url:
            if not operators and not _loopback(host):
                await _need_keys(url, loaded.namespace, host)
            sockets = inherited_sockets(fds, door) if door is not None else None
            await _serve(Settings(arms, url, loaded, operators, learn, seed, state), host, port, sockets)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def _need_keys(url: str, namespace: str, host: str) -> None:
    """Raise ConfigError if nobody needs a key to use the router."""
    client = connect(url)
    try:
        api_keys = await KeyStore(client, namespace, Store(client, namespace)).all()
    finally:
        await client.aclose()
    if not api_keys:
        raise ConfigError(
            f"--host {host} is reachable from elsewhere; give keys out (`highwayman keys add`), or set {_KEYS_ENV} "
            "(comma-separated), to open it"
        )


async def _serve(settings: Settings, host: str, port: int, sockets: list[socket.socket] | None) -> None:
    failed, drain, limits = asyncio.Event(), Drain(), settings.config.limits

    def fail() -> None:
        failed.set()
        end_after_failure(server)  # whoever keeps us up starts us again; answering on would leave clients waiting

    server = DrainingServer(
        server_config(
            Application(replace(settings, drain=drain, on_failure=fail)),
            limits.connection_timeouts(),
            idle_s=limits.idle_s,
            host=host,
            port=port,
            timeout_graceful_shutdown=int(TELLING_S),
        ),
        drain,
        drain_s=limits.drain_s,
    )
    server.listen_for_signals()
    await server.serve(sockets)
    if not server.started:
        raise ConfigError(f"the router could not start on {host}:{port}; see above")
    if failed.is_set():
        raise BackgroundTaskFailed("a part of the router has failed; see above")


@main.command()
@click.option("--url", default=f"http://127.0.0.1:{DEFAULT_PORT}", show_default=True, help="The router's address.")
@click.option("--once", is_flag=True, help="Print the table once and end.")
def top(url: str, once: bool) -> None:
    """Watch the arms: share, quality, cost, latency, feedback."""
    asyncio.run(run_top(url, once=once, api_key=os.environ.get("HIGHWAYMAN_API_KEY")))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _banner(port: int) -> str:
    """Return what to do next; commands stand alone on their lines, to be pasted."""
    url = f"http://127.0.0.1:{port}"
    return f"""
Highwayman is up. OpenAI API: {url}/v1   Its other routes: {url}/docs

Ask, with any OpenAI client (base_url above, model "auto"), or:

curl -i {url}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model": "auto", "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}'

Send a thumb, with the id in the answer's x-highwayman-decision header:

curl {url}/v1/feedback -H 'content-type: application/json' \\
  -d '{{"decision_id": "hw-...", "metric": "thumbs", "value": true}}'

Watch it learn:  .venv/bin/highwayman top    (the same as JSON: {url}/v1/policy)
Stop with Ctrl-C; what was learned is kept.
"""


if __name__ == "__main__":
    main()
