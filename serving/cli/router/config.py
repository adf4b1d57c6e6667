"""The commands of `highwayman config`."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
import yaml

from highwayman.bandit.loading import policy_class, policy_options, policy_path
from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import load_pool
from highwayman.serving.cli.context import LogOptions, place_options
from highwayman.serving.cli.errors import PlainErrorGroup
from highwayman.serving.config.config import Config, load_config
from highwayman.serving.config.policy import PolicyConfig
from highwayman.serving.state.announced_config import public_settings
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder
from highwayman.serving.wiring.checks import check_arms, check_configuration


@click.group(cls=PlainErrorGroup)
def config() -> None:
    """Look after highwayman.yaml: what the router decides by."""


@config.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), default="highwayman.yaml")
@click.option("--pool", "pool_file", type=click.Path(path_type=Path, exists=True), help="Check the arms it names, too.")
def check(file: Path, pool_file: Path | None) -> None:
    """Say what is wrong with a configuration, or what it comes to.

    Policies, prior, encoder and feedback doors are made as `highwayman serve` makes them.
    """
    loaded = load_config(file)
    loaded.feedback.adapters()
    encoder = warm_encoder(loaded)
    try:
        pool = load_pool(pool_file) if pool_file is not None else None
        factory = LearnerFactory(loaded, pool.arms if pool is not None else (), encoder)
        check_configuration(factory)
        if pool is not None:
            check_arms(loaded, pool.arms, named_zones=[model.arm.zone for model in pool.named])
        lines = _summary(factory)
    finally:
        encoder.close()
    click.echo(f"{file}: namespace {loaded.namespace}, lineage {factory.lineage}")
    for line in lines:
        click.echo(f"  {line}")


@config.command()
def schema() -> None:
    """Print the JSON Schema of highwayman.yaml, for editors; that of pool.yaml: highwayman pool schema."""
    from highwayman.serving.cli.router.config_schema import config_schema  # noqa: PLC0415  (it loads every policy)

    click.echo(json.dumps(config_schema(), indent=2))


@config.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@place_options
def show(file: Path | None, config: Path | None, **place: Any) -> None:
    """Print every key with its value: as FILE has it, or as is in force with the routers of a Redis."""
    path = file or config
    if path is not None:
        title, shown = str(path), load_config(path)
    else:
        title, shown = asyncio.run(_in_force(LogOptions(config=None, encoder=None, pool=None, **place)))
    click.echo(f"# {title}")
    if path is None or shown.feedback.doors:
        click.echo("# feedback.doors is left out, as it may hold secrets")
    click.echo(yaml.safe_dump(public_settings(shown), sort_keys=False, allow_unicode=True), nl=False)
    others = _options_left_out(shown.policy)
    if others:
        click.echo(f"# options of {shown.policy.name} that are as by default: {others}")


async def _in_force(options: LogOptions) -> tuple[str, Config]:
    """Return what is in force, and where. Raises ConfigError where nothing is announced, or not all of it."""
    announced = await options.announced()
    if announced is None:
        raise ConfigError("no router has announced what is in force there; start one, or name a FILE to show")
    if not announced.is_whole:
        raise ConfigError("the router in force, of an earlier release, does not say all of its configuration")
    return f"in force in namespace {announced.namespace}, lineage {announced.lineage}", announced.load()


def _options_left_out(policy: PolicyConfig) -> str:
    """Return the options that a policy takes and is not given, with their defaults; empty where there are none.

    Of a policy that is not shipped none are told: its class need not be on this machine.
    """
    if ":" in policy.name:
        return ""
    options = policy_options(policy_class(policy_path(policy.name))) or {}
    return ", ".join(f"{name} {option.default}" for name, option in options.items() if name not in policy.options)


def _summary(factory: LearnerFactory) -> list[str]:
    """Return what the configuration comes to, a line for each thing."""
    loaded = factory.config
    policy, given = loaded.policy, sorted(loaded.model_fields_set)
    options = [
        f"{name} {value}" for name, value in {**policy.options, "prior": policy.prior}.items() if value is not None
    ]
    tags = f", tags {', '.join(loaded.context)}" if loaded.context else ""
    return [
        f"policy: {', '.join([policy.name, *options])}",
        f"encoder: {loaded.encoder.engine}, {factory.encoder.d} features{tags}",
        f"metrics: {', '.join(factory.spec.metrics)}",
        f"given: {', '.join(given) or 'nothing'}; all else is as by default (highwayman config show FILE)",
    ]
