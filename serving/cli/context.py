"""What commands that look after the log share: their options, and the way to Redis."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import redis.asyncio as aioredis

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import load_pool
from highwayman.feedback.log.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.config.config import EncoderConfig, load_config
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.state.local_state import state_folder

_TIMEOUT_S = 10.0  # more than any read of the log blocks
STATE_DIR = click.Path(path_type=Path, resolve_path=True, file_okay=False)  # whole: Valkey works in a folder of its own


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where a command finds the log, and what is configured to learn from it."""

    redis_url: str | None
    state_dir: Path | None
    config: Path | None
    encoder: str | None
    pool: Path | None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple["aioredis.Redis", LearnerFactory]]:
        """Yield a client and what is configured. Raises ConfigError, EncoderError."""
        with self.factory() as factory:
            client = connect(self.url(), timeout_s=_TIMEOUT_S)
            try:
                yield client, factory
            finally:
                await client.aclose()

    @contextmanager
    def factory(self) -> Iterator[LearnerFactory]:
        """Yield what is configured, for which no Redis is needed. Raises ConfigError, EncoderError."""
        config = load_config(self.config)
        if self.encoder is not None:
            config = config.model_copy(update={"encoder": EncoderConfig(engine=self.encoder)})
        encoder = warm_encoder(config)
        try:
            yield LearnerFactory(config, load_pool(self.pool).arms if self.pool is not None else (), encoder)
        finally:
            encoder.close()

    @property
    def state(self) -> Path:
        """The folder of a router's own state on this machine."""
        return self.state_dir or state_folder()

    def url(self) -> str:
        """The address of the log's Redis. Raises ConfigError where none is given and no embedded one runs."""
        if self.redis_url is not None:
            return self.redis_url
        embedded = EmbeddedValkey(self.state / "valkey")
        if not embedded.socket.exists():
            raise ConfigError(
                f"no Valkey runs in {self.state}; start `highwayman up` or `serve`, or give --redis-url or --state-dir"
            )
        return embedded.url


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a `LogOptions`, its first argument, and let it be a coroutine."""

    @click.option("--redis-url", envvar="REDIS_URL", help="The log's Redis or Valkey, instead of the embedded one.")
    @click.option("--state-dir", type=STATE_DIR, help="Of the router whose embedded Valkey is meant.")
    @click.option("--config", type=click.Path(path_type=Path, exists=True), help="highwayman.yaml")
    @click.option("--encoder", help="static | onnx | transformers | module:Class")
    @click.option("--pool", type=click.Path(path_type=Path, exists=True), help="For arms the log does not name.")
    @functools.wraps(command)
    def run(  # noqa: PLR0917  (one parameter per option)
        redis_url: str | None, state_dir: Path | None, config: Path | None, encoder: str | None, pool: Path | None,
        **options: Any,
    ) -> Any:  # fmt: skip
        result = command(LogOptions(redis_url, state_dir, config, encoder, pool), **options)
        return asyncio.run(_whole(result)) if isinstance(result, Awaitable) else result

    return run


@dataclass(frozen=True, slots=True)
class KeyStoreOptions:
    """Where a command finds the API keys."""

    log: LogOptions

    @asynccontextmanager
    async def open(self) -> AsyncIterator[KeyStore]:
        """Yield the keys of the configured namespace. Raises ConfigError."""
        namespace = load_config(self.log.config).namespace
        client = connect(self.log.url(), timeout_s=_TIMEOUT_S)
        try:
            yield KeyStore(client, namespace, Store(client, namespace))
        finally:
            await client.aclose()


def key_store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a `KeyStoreOptions`, its first argument; the command is a coroutine."""

    @click.option("--redis-url", envvar="REDIS_URL", help="The log's Redis or Valkey, instead of the embedded one.")
    @click.option("--state-dir", type=STATE_DIR, help="Of the router whose embedded Valkey is meant.")
    @click.option("--config", type=click.Path(path_type=Path, exists=True), help="highwayman.yaml")
    @functools.wraps(command)
    def run(redis_url: str | None, state_dir: Path | None, config: Path | None, **options: Any) -> Any:
        return asyncio.run(
            _whole(command(KeyStoreOptions(LogOptions(redis_url, state_dir, config, None, None)), **options))
        )

    return run


async def _whole(command: Awaitable[Any]) -> Any:
    return await command


def print_report(report: dict[str, Any], *, as_json: bool) -> None:
    """Print findings, a line each, or as one JSON object."""
    if as_json:
        click.echo(json.dumps(report))
        return
    width = max(map(len, report))
    for name, value in report.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {_format_value(value)}")


def _format_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
