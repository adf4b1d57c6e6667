"""The commands of `highwayman pool` that change the arms of running routers, and show what was changed."""

import time
from datetime import UTC, datetime
from typing import Any

import click
import yaml

from highwayman.env.errors import ConfigError
from highwayman.env.pool.changes.pool_changes import with_changes
from highwayman.serving.cli.live.routers import RoutersOptions, print_outcome, routers_options, who
from highwayman.serving.reload.arm_edits import edit_of
from highwayman.serving.wiring.checks import check_edited_arms

_PRICES = (
    click.option("--in", "usd_per_mtok_in", type=click.FloatRange(0), help="US dollars per million tokens read."),
    click.option("--out", "usd_per_mtok_out", type=click.FloatRange(0), help="Per million tokens written."),
    click.option("--cached-in", "usd_per_mtok_cached_in", type=click.FloatRange(0), help="Of tokens a cache held."),
    click.option("--unknown", "price", flag_value="unknown", help="In place of the prices."),
)


def _with_prices(command: Any) -> Any:
    for option in reversed(_PRICES):
        command = option(command)
    return command


@click.command()
@click.argument("arm")
@click.option("--endpoint", "endpoints", multiple=True, required=True, help="URL of a server; several are replicas.")
@click.option("--model", required=True, help="Its id, as the servers' /v1/models names it.")
@click.option("--context-window-tokens", type=click.IntRange(min=1), required=True,
              help="Most tokens of prompt and answer together.")  # fmt: skip
@_with_prices
@click.option("--probation", is_flag=True, help="Try it out first (docs/explanation/budgets.md).")
@click.option("--set", "further", multiple=True, metavar="KEY=VALUE", help="Another key of pool.yaml, as YAML.")
@routers_options
async def add(  # noqa: PLR0917  (one parameter per option)
    options: RoutersOptions, arm: str, endpoints: tuple[str, ...], probation: bool, further: tuple[str, ...],
    **keys: Any,
) -> None:  # fmt: skip
    """Add ARM to the pool of running routers."""
    entry = {"endpoints": [*endpoints], **_given(keys), **({"state": "probation"} if probation else {})}
    for text in further:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: give it as KEY=VALUE, such as --set tools=true")
        entry[key] = yaml.safe_load(value)
    await _edit(options, "add", arm, entry)


@click.command()
@click.argument("arm")
@_with_prices
@routers_options
async def price(options: RoutersOptions, arm: str, **keys: Any) -> None:
    """Give ARM another price: --in and --out, or --unknown."""
    await _edit(options, "price", arm, _given(keys))


@click.command()
@click.argument("arm")
@routers_options
async def probation(options: RoutersOptions, arm: str) -> None:
    """Give ARM no more than the trial quota."""
    await _edit(options, "probation", arm, {})


@click.command()
@click.argument("arm")
@routers_options
async def drain(options: RoutersOptions, arm: str) -> None:
    """Send ARM no more requests; those under way end as they began."""
    await _edit(options, "drain", arm, {})


@click.command()
@click.argument("arm")
@routers_options
async def undrain(options: RoutersOptions, arm: str) -> None:
    """Have ARM take part as any other, whether it drained or was on probation."""
    await _edit(options, "undrain", arm, {})


@click.command()
@click.argument("arm")
@routers_options
async def remove(options: RoutersOptions, arm: str) -> None:
    """Take ARM out of the pool; what was learned of it is kept, should it come back."""
    await _edit(options, "remove", arm, {})


@click.command()
@click.argument("arm")
@routers_options
async def reset(options: RoutersOptions, arm: str) -> None:
    """Have ARM be what the pool file says of it, or not be, where that says nothing."""
    await _edit(options, "reset", arm, {})


@click.command()
@routers_options
async def show(options: RoutersOptions) -> None:
    """Print the arms in force, as a pool file, with what was changed beside it, when and by whom."""
    async with options.open() as routers:
        (_, announced), state = await routers.announced(), await routers.shared.read()
    for name, edit in state.changes.items():
        keys = "removed" if edit.entry is None else "added" if edit.is_whole else ", ".join(edit.entry)
        when = datetime.fromtimestamp(edit.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        click.echo(f"# {name}: {keys}, by {edit.by}, {when}; `highwayman pool reset {name}` takes it back")
    entries = with_changes(announced.pool or {}, state.changes)
    click.echo(yaml.safe_dump({"arms": entries}, sort_keys=False, allow_unicode=True), nl=False)


async def _edit(options: RoutersOptions, verb: str, arm: str, keys: dict[str, Any]) -> None:
    by = who()
    async with options.open() as routers:
        change = await routers.edit(by, edit_of(verb, arm, keys, by=by, at=time.time()), check_edited_arms)
        await print_outcome(routers, change.generation, change.changed)


def _given(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}
