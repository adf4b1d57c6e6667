"""`highwayman tournament`: who decides, and what every challenger would have earned beyond."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.env.types import TOLD
from highwayman.feedback.tournament.ramp import BEST_CONSTANT, Ramp
from highwayman.feedback.tournament.scored_learner import CONFIGURED
from highwayman.serving.cli.context import LogOptions, log_options, whereabouts
from highwayman.serving.views import tournament_view


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def tournament(options: LogOptions, as_json: bool) -> None:
    """Show who decides for how much of the traffic, and how the challengers compare."""
    async with options.open() as (client, factory):
        ramp = Ramp.from_json(await factory.store(client).ramp(), first=factory.config.tournament.champion)
        verdicts = await factory.referee(client).verdicts()
        view = tournament_view(ramp, verdicts, factory.config.tournament.rules())
    if as_json:
        click.echo(json.dumps({**whereabouts(factory), **view}))
        return
    click.echo(who_decides(ramp, factory.config.policy.name))
    Console(width=None if sys.stdout.isatty() else 120).print(contenders_table(view))


def who_decides(ramp: Ramp, policy_name: str) -> str:
    """Return in words who decides, for how much of the traffic."""
    words = {CONFIGURED: f"the configured policy, {policy_name},", TOLD: "another router, as told,"}
    champion = words.get(ramp.champion, ramp.champion)
    lines = [f"{champion} decides" + (f"; {ramp.challenger} for {ramp.share:.0%}" if ramp.challenger else "")]
    if ramp.previous:
        lines.append(f"before it did {ramp.previous}")
    if ramp.warned:
        lines.append(f"it is not worth its exploration: {BEST_CONSTANT} earns more")
    return "\n".join(lines)


def contenders_table(view: Mapping[str, Any]) -> Table:
    """Return a line for each contender; its name and what is known of it are broken where the terminal ends."""
    table = Table(
        title="points (.01 of reward minus penalty) a round, against who decided", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("contender", overflow="fold", min_width=13)
    for name in ("points", "low", "high", "rounds", "effective"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what is known", min_width=9)
    for name, verdict in view["contenders"].items():
        if verdict is None or verdict["difference"] is None:
            table.add_row(name, "-", "-", "-", "0", "0", "nothing yet")
            continue
        points = (f"{100 * verdict[end]:+.1f}" for end in ("difference", "low", "high"))
        table.add_row(name, *points, f"{verdict['rounds']:,}", f"{verdict['ess']:,.0f}", _known(verdict))
    return table


def _known(verdict: Mapping[str, Any]) -> str:
    if verdict["refused"]:
        return str(verdict["refused"])
    return "better" if verdict["better"] else "worse" if verdict["worse"] else "no difference shown"
