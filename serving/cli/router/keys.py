"""The commands of `highwayman keys`: who may use the router, and for whom."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from highwayman.env.errors import ConfigError
from highwayman.feedback.trust.api_keys import ApiKey, KeyGrant, KeyState, KeyStore
from highwayman.feedback.trust.principal import ANSWERS, FEEDBACK, SCOPES
from highwayman.feedback.trust.quotas import QUOTA_NAMES, parse_quotas
from highwayman.serving.cli.context import KeyStoreOptions, key_store_options, print_report
from highwayman.serving.cli.durations import Duration
from highwayman.serving.cli.errors import PlainErrorGroup

_SECRET = frozenset({"mac", "previous_mac"})  # what of a key is never shown, though it opens nothing
_KEEP = "Keep the key: it cannot be shown again. Routers know it within a second."
_FIRST = """\
This is the namespace's first key: from now on every request needs one, within a
second, on all routers. Open stay /healthz and /readyz, pages for one vote, and
webhooks that are signed. What an operator looks at (/metrics, /v1/policy,
/v1/admin/...) takes a key with the scope admin; on a router's own machine,
`highwayman top` and the demo go on with the key that stands in its state
folder, operator.key."""

_json = click.option("--json", "as_json", is_flag=True, help="For machines.")


def _limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each limit that a key may have."""
    for name, (resource, period) in reversed(list(QUOTA_NAMES.items())):
        said = "Dollars" if resource == "usd" else resource.capitalize()
        command = click.option(f"--{name.replace('_', '-')}", name, type=click.FloatRange(0, min_open=True),
                               help=f"{said} a {period}, of this key alone.")(command)  # fmt: skip
    return command


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
@click.option("--expires", type=Duration(), help="After how long it opens nothing any more: 90d, 12h.")
@_limit_options
@_json
@key_store_options
async def add(  # noqa: PLR0917  (one parameter per option)
    key_store: KeyStoreOptions, name: str, tenant: str, scopes: tuple[str, ...], influence: float | None,
    rate: float | None, expires: float | None, as_json: bool, **limits: float | None,
) -> None:  # fmt: skip
    """Make a key called NAME. It is shown once, and not kept."""
    now = time.time()
    given = {limit: amount for limit, amount in limits.items() if amount is not None}
    try:
        expires_at = None if expires is None else now + expires
        grant = KeyGrant(name, tenant, tuple(sorted(set(scopes))), influence, rate, expires_at, given)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    async with key_store.open() as store:
        is_first = not await store.all()
        key, text = await store.add(grant, at=now)
    report: dict[str, Any] = {"key": text, "id": key.id, "tenant": tenant, "scopes": list(key.scopes)}
    report |= {"limits": given if as_json else _limits(key)} if given else {}
    report |= {} if expires_at is None else {"expires": _minute(expires_at)}
    print_report({**report, "first": is_first} if as_json else report, as_json=as_json)
    if not as_json:
        click.echo(_KEEP)
        if is_first:
            click.echo(_FIRST)


@keys.command()
@click.argument("name", metavar="NAME")
@click.option("--grace", type=Duration(), default="24h", show_default=True,
              help="How long the key that it was before goes on opening what it opened; 0s: not at all.")  # fmt: skip
@click.option("--expires", type=Duration(), help="After how long the new one opens nothing any more; else as before.")
@_json
@key_store_options
async def rotate(  # noqa: PLR0917  (one parameter per option)
    key_store: KeyStoreOptions, name: str, grace: float, expires: float | None, as_json: bool
) -> None:
    """Give the key called NAME (or with this id) another text; its id, tenant, scopes and limits stay."""
    now = time.time()
    async with key_store.open() as store:
        known = await _named(store, name)
        try:
            expires_at = None if expires is None else now + expires
            key, text = await store.rotate(known.id, grace_until=now + grace, expires_at=expires_at)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    until = _minute(key.previous_until)
    print_report({"key": text, "id": key.id, "tenant": key.tenant, "old_key_until": until}, as_json=as_json)
    if not as_json:
        click.echo(_KEEP)


@keys.command("list")
@_json
@key_store_options
async def list_keys(key_store: KeyStoreOptions, as_json: bool) -> None:
    """Show the keys: everything but the keys themselves."""
    async with key_store.open() as store:
        api_keys, used = await store.all(), await store.last_used()
    if as_json:
        click.echo(json.dumps([{**_public_fields(key), "last_used_at": used.get(key.id)} for key in api_keys]))
        return
    now = time.time()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    # Eighty columns hold ids, scopes and days whole; long names and reasons are broken.
    for heading, width in {"id": 16, "name, tenant": 12, "scopes": 8, "limits": 19, "state": 15}.items():
        table.add_column(heading, overflow="fold", min_width=width)
    for key in api_keys:
        days = {"made": key.created_at, "used": used.get(key.id), "ends": key.expires_at}
        state = [_state(key, now), *(f"{what} {_day(at)}" for what, at in days.items() if at is not None)]
        limits = _limits(key).split(", ")
        lines = ((key.id, key.prefix), (key.name, key.tenant), key.scopes, limits, state)
        table.add_row(*(escape("\n".join(cell)) for cell in lines))
    Console().print(table if api_keys else "no keys: the router is open to anybody who can reach it")


@keys.command()
@click.argument("name", metavar="ID")
@key_store_options
async def revoke(key_store: KeyStoreOptions, name: str) -> None:
    """Let a key (by its id or name) open nothing any more; what came with it stays (see `highwayman feedback`)."""
    async with key_store.open() as store:
        key = await _named(store, name)
        await store.set_state(key.id, KeyState.REVOKED)
    click.echo(f"{key.id} is revoked; routers know it within a second")


async def _named(store: KeyStore, name: str) -> ApiKey:
    try:
        return await store.named(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _public_fields(key: ApiKey) -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if name not in _SECRET}


def _limits(key: ApiKey) -> str:
    share = [] if key.influence is None else [f"{key.influence:.0%} of influence"]
    rate = [] if key.rate_per_s is None else [f"{key.rate_per_s:g} feedback/s"]
    quotas = [f"{quota.limit:,.10g} {quota.resource}/{quota.period}" for quota in parse_quotas(key.limits)]
    return ", ".join(share + rate + quotas) or "-"


def _state(key: ApiKey, now: float) -> str:
    if key.state is not KeyState.REVOKED and key.expires_at is not None and now >= key.expires_at:
        return "expired"
    return f"{key.state}: {key.why}" if key.why else str(key.state)


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
