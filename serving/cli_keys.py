"""The commands of `highwayman keys`: who may use the router, and for whom."""

import time
from datetime import UTC, datetime

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.serving.caller import ANSWERS, FEEDBACK, SCOPES
from highwayman.serving.cli_store import Keyring, at_keyring, told
from highwayman.serving.keys import ApiKey, Grant, KeyState
from highwayman.serving.plain_errors import PlainErrors

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.group(cls=PlainErrors)
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
@at_keyring
async def add(  # noqa: PLR0917  (one parameter per option)
    ring: Keyring, name: str, tenant: str, scopes: tuple[str, ...], influence: float | None, rate: float | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Make a key called NAME. It is shown once, and not kept."""
    async with ring.opened() as store:
        made, text = await store.add(Grant(name, tenant, tuple(sorted(set(scopes))), influence, rate), at=time.time())
    told({"key": text, "id": made.id, "tenant": tenant, "scopes": list(made.scopes)}, as_json=as_json)
    if not as_json:
        click.echo("Keep the key: it cannot be shown again. Routers know it within a second.")


@keys.command("list")
@at_keyring
async def list_keys(ring: Keyring) -> None:
    """Show the keys: everything but the keys themselves."""
    async with ring.opened() as store:
        found = await store.all()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("id", "name", "tenant", "scopes", "state", "made"):
        table.add_column(heading)
    for one in found:
        table.add_row(one.id, one.name, one.tenant, ", ".join(one.scopes), _state(one), _day(one.created_at))
    Console().print(table if found else "no keys: the router is open to anybody who can reach it")


@keys.command()
@click.argument("key_id", metavar="ID")
@at_keyring
async def revoke(ring: Keyring, key_id: str) -> None:
    """Let a key open nothing any more; what came with it stays (see `highwayman feedback`)."""
    async with ring.opened() as store:
        await store.turn(key_id, KeyState.REVOKED)
    click.echo(f"{key_id} is revoked; routers know it within a second")


def _state(one: ApiKey) -> str:
    return f"{one.state}: {one.why}" if one.why else str(one.state)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
