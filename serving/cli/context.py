"""What commands that look after the log share: their options, and the way to Redis."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import redis.asyncio as aioredis

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import load_pool
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.config_events import active_namespaces
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyStore
from highwayman.serving.config.config import Config, load_config
from highwayman.serving.config.resources.engines import EncoderConfig
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.reload.live_keys import differences
from highwayman.serving.state.announced_config import AnnouncedConfig, parse_announcement, public_settings
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
    namespace: str | None = None
    lineage: str | None = None  # that is meant, where it is not the one in force
    quiet: bool = False

    @asynccontextmanager
    async def open(
        self, *, for_learning: bool = False, for_all: bool = False, by: Collection[str] = ()
    ) -> AsyncIterator[tuple["aioredis.Redis", LearnerFactory]]:
        """Yield a client and what is configured: with --config, or as routers have announced it. Say what that is.

        Where nothing is announced, there is no router to hurt: the defaults are taken. A learner may learn another
        lineage than is in force; what is `for_all` lineages can only be done by the one in force. What is done `by`
        some keys of the configuration is done by them as they are in force.

        Raises:
            ConfigError: it is not what is in force, or could be that of several namespaces.
            EncoderError, StoreUnavailable.
        """
        async with self.connected() as (client, namespace, given):
            announced = parse_announcement(await Store(client, namespace).active_config(), namespace)
            config = given or (announced.load() if announced is not None else Config(namespace=namespace))
            with self._factory(config) as factory:
                refusal = self._refusal(factory, announced, for_all=for_all) or _other_keys(config, announced, by)
                if refusal and not for_learning:
                    raise ConfigError(refusal)
                self._say(factory, announced)
                yield client, factory

    async def announced(self) -> AnnouncedConfig | None:
        """Return what routers have announced, None where nothing was. Raises ConfigError, StoreUnavailable."""
        async with self.connected() as (client, namespace, _):
            return parse_announcement(await Store(client, namespace).active_config(), namespace)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple["aioredis.Redis", str, Config | None]]:
        """Yield a client, the namespace that is meant, and what --config says. Raises ConfigError, StoreUnavailable."""
        given = load_config(self.config) if self.config is not None else None
        client = connect(self.url(), timeout_s=_TIMEOUT_S)
        try:
            yield client, await self._namespace(client, given), given
        finally:
            await client.aclose()

    async def _namespace(self, client: "aioredis.Redis", given: Config | None) -> str:
        """Return the namespace that is meant. Raises ConfigError where that could be several."""
        if given is not None:
            if self.namespace not in {None, given.namespace}:
                raise ConfigError(
                    f"--namespace {self.namespace}: {self.config} names {given.namespace}; give one of them"
                )
            return given.namespace
        if self.namespace is not None:
            return self.namespace
        namespaces = await active_namespaces(client)
        if len(namespaces) > 1:
            raise ConfigError(
                f"routers of several namespaces use this Redis: {', '.join(namespaces)}; say with --namespace (or "
                "--config) which is meant"
            )
        return namespaces[0] if namespaces else Config().namespace

    @contextmanager
    def factory(self) -> Iterator[LearnerFactory]:
        """Yield what is configured, for which no Redis is needed. Raises ConfigError, EncoderError."""
        with self._factory(load_config(self.config)) as factory:
            yield factory

    @contextmanager
    def _factory(self, config: Config) -> Iterator[LearnerFactory]:
        if self.encoder is not None:
            config = config.model_copy(update={"encoder": EncoderConfig(engine=self.encoder)})
        encoder = warm_encoder(config)
        try:
            yield LearnerFactory(config, load_pool(self.pool).arms if self.pool is not None else (), encoder)
        finally:
            encoder.close()

    def _refusal(self, factory: LearnerFactory, announced: AnnouncedConfig | None, *, for_all: bool) -> str | None:
        """Return why the command must not go on, None if it may."""
        own, policy = factory.lineage, factory.config.policy.name
        if self.lineage not in {None, own}:
            return f"--lineage {self.lineage}: this configuration's is {own} ({policy})"
        if announced is None or announced.lineage == own or (self.lineage is not None and not for_all):
            return None
        in_force = f"in namespace {announced.namespace}, lineage {announced.lineage} ({announced.policy}) is in force"
        if self.config is None and not announced.is_whole:
            return f"{in_force}; its router, of an earlier release, does not say all of how: give its --config"
        other = "" if for_all else f", or add --lineage {own} to work on the other one all the same"
        return (
            f"{in_force}, and not {own} ({policy}), as this configuration has it. Leave --config out to take what is "
            f"in force{other}; nothing was done"
        )

    def _say(self, factory: LearnerFactory, announced: AnnouncedConfig | None) -> None:
        """Say of what the command speaks, beside what it prints."""
        if self.quiet:
            return
        state = "in force" if announced is not None else "no router has announced any"
        if announced is not None and announced.lineage != factory.lineage:
            state = f"in force is {announced.lineage}"
        click.echo(f"namespace {factory.config.namespace}, lineage {factory.lineage}: {state}", err=True)

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


def _other_keys(config: Config, announced: AnnouncedConfig | None, by: Collection[str]) -> str:
    """Return why a command that is done `by` some keys must not go on, empty if it may."""
    if announced is None or not by:
        return ""
    told = [key for key in by if key in announced.settings]  # routers of earlier releases do not tell all
    try:
        in_force = public_settings(announced.load())
    except ConfigError:  # a later release's
        in_force = dict(announced.settings)
    given = public_settings(config)
    pairs = differences({key: in_force[key] for key in told}, {key: given[key] for key in told})
    lines = [f"{key}: {own}, in force is {other}" for key, (other, own) in pairs.items()]
    return "\n".join(["--config has other keys than are in force; leave it out, or reload:", *lines]) if lines else ""


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which router is meant."""
    for option in reversed((
        click.option("--redis-url", envvar="REDIS_URL", help="The log's Redis or Valkey, instead of the embedded one."),
        click.option("--state-dir", type=STATE_DIR, help="Of the router whose embedded Valkey is meant."),
        click.option("--config", type=click.Path(path_type=Path, exists=True),
                     help="highwayman.yaml, instead of the configuration in force."),
        click.option("--namespace", help="Where routers of several use the Redis."),
    )):  # fmt: skip
        command = option(command)
    return command


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a `LogOptions`, its first argument, and let it be a coroutine."""

    @place_options
    @click.option("--encoder", help="static | onnx | transformers | module:Class")
    @click.option("--pool", type=click.Path(path_type=Path, exists=True), help="For arms the log does not name.")
    @click.option("--lineage", help="The one that is meant, where --config has another than is in force.")
    @functools.wraps(command)
    def run(**options: Any) -> Any:
        place = {name: options.pop(name) for name in _LOG_OPTIONS}
        result = command(LogOptions(**place, quiet=bool(options.get("as_json"))), **options)
        return asyncio.run(_whole(result)) if isinstance(result, Awaitable) else result

    return run


_LOG_OPTIONS = ("redis_url", "state_dir", "config", "encoder", "pool", "namespace", "lineage")


@dataclass(frozen=True, slots=True)
class KeyStoreOptions:
    """Where a command finds the API keys."""

    log: LogOptions

    @asynccontextmanager
    async def open(self) -> AsyncIterator[KeyStore]:
        """Yield the keys of the namespace that is meant, and say which that is. Raises ConfigError."""
        async with self.log.connected() as (client, namespace, _):
            store = Store(client, namespace)
            if not self.log.quiet:
                unknown = "" if await store.active_config() else ": no router has announced itself there"
                click.echo(f"namespace {namespace}{unknown}", err=True)
            yield KeyStore(client, namespace, store)


def place_command(command: Callable[..., Any], place: Callable[[LogOptions], Any]) -> Callable[..., Any]:
    """Give a coroutine the options that say which router is meant; what `place` makes of them is its first argument."""

    @place_options
    @functools.wraps(command)
    def run(
        redis_url: str | None, state_dir: Path | None, config: Path | None, namespace: str | None, **options: Any
    ) -> Any:
        quiet = bool(options.get("as_json"))
        log = LogOptions(redis_url, state_dir, config, None, None, namespace=namespace, quiet=quiet)
        return asyncio.run(_whole(command(place(log), **options)))

    return run


def key_store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that make a `KeyStoreOptions`, its first argument; the command is a coroutine."""
    return place_command(command, KeyStoreOptions)


async def _whole(command: Awaitable[Any]) -> Any:
    return await command


async def published_tally(client: "aioredis.Redis", factory: LearnerFactory) -> Tally:
    """Return what is counted in the version in force; an empty tally where none is published."""
    published = await factory.publications(client).load()
    return Tally.from_json(published.snapshot.tally) if published is not None else Tally()


def whereabouts(factory: LearnerFactory) -> dict[str, str]:
    """Return of what machines are told something: the namespace and the lineage."""
    return {"namespace": factory.config.namespace, "lineage": factory.lineage}


def print_report(report: dict[str, Any], *, as_json: bool, of: LearnerFactory | None = None) -> None:
    """Print findings, a line each, or as one JSON object, which says of which lineage they are."""
    if as_json:
        click.echo(json.dumps({**({} if of is None else whereabouts(of)), **report}))
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
