"""The commands of `highwayman keys`: who may use the router, and for whom."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from highwayman.env.errors import ConfigError
from highwayman.feedback.trust.api_keys import ApiKey, KeyGrant, KeyState
from highwayman.feedback.trust.principal import ANSWERS, FEEDBACK, SCOPES
from highwayman.serving.cli.context import KeyStoreOptions, key_store_options, print_report
from highwayman.serving.cli.errors import PlainErrorGroup

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group(cls=PlainErrorGroup)
def keys() -> None:
    """Give API keys out, each for a tenant, and take them back."""


@keys.command()
@click.argument("name")
@click.option("--tenant", required=True, help="Whose decisions it makes and speaks about.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(SCOPES)), default=(ANSWERS, FEEDBACK),
              show_default=True, help="What it may do; may be given several times.")  # fmt: skip
@click.option("--influence", type=click.FloatRange(0, 1, min_open=True),
              help="The most of the tenant's latest evidence that may come with it.")  # fmt: skip
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Feedback posts a second.")
@_json
@key_store_options
async def add(  # noqa: PLR0917  (one parameter per option)
    key_store: KeyStoreOptions, name: str, tenant: str, scopes: tuple[str, ...], influence: float | None,
    rate: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Make a key called NAME. It is shown once, and not kept."""
    try:
        grant = KeyGrant(name, tenant, tuple(sorted(set(scopes))), influence, rate)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    async with key_store.open() as store:
        key, text = await store.add(grant, at=time.time())
    print_report({"key": text, "id": key.id, "tenant": tenant, "scopes": list(key.scopes)}, as_json=as_json)
    if not as_json:
        click.echo("Keep the key: it cannot be shown again. Routers know it within a second.")


@keys.command("list")
@_json
@key_store_options
async def list_keys(key_store: KeyStoreOptions, as_json: bool) -> None:
    """Show the keys: everything but the keys themselves."""
    async with key_store.open() as store:
        api_keys = await store.all()
    if as_json:
        click.echo(json.dumps([_public_fields(key) for key in api_keys]))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("id", "name", "tenant", "scopes", "caps", "state", "made"):
        table.add_column(heading, no_wrap=heading in {"id", "made"}, overflow="fold")
    for key in api_keys:
        cells = (key.id, key.name, key.tenant, " ".join(key.scopes), _caps(key), _state(key), _day(key.created_at))
        table.add_row(*map(escape, cells))
    Console().print(table if api_keys else "no keys: the router is open to anybody who can reach it")


@keys.command()
@click.argument("key_id", metavar="ID")
@key_store_options
async def revoke(key_store: KeyStoreOptions, key_id: str) -> None:
    """Let a key open nothing any more; what came with it stays (see `highwayman feedback`)."""
    async with key_store.open() as store:
        await store.set_state(key_id, KeyState.REVOKED)
    click.echo(f"{key_id} is revoked; routers know it within a second")


def _public_fields(key: ApiKey) -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if name != "mac"}


def _caps(key: ApiKey) -> str:
    share = [] if key.influence is None else [f"{key.influence:.0%}"]
    rate = [] if key.rate_per_s is None else [f"{key.rate_per_s:g}/s"]
    return " ".join(share + rate) or "-"


def _state(key: ApiKey) -> str:
    return f"{key.state}: {key.why}" if key.why else str(key.state)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
