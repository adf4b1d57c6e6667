"""The command `highwayman efficiency`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import cast

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.feedback.savings.efficiency_report import By, GroupEfficiency, efficiency_report
from highwayman.serving.cli.context import LogOptions, log_options, published_tally, whereabouts


@click.command("efficiency")
@click.option("--by", type=click.Choice(["arm", "policy", "tenant"]), default="arm", show_default=True,
              help="What a line is of.")  # fmt: skip
@click.option("--tenant", help="Whose answers alone; everybody's without it.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def efficiency(options: LogOptions, by: str, tenant: str | None, as_json: bool) -> None:
    """Show what routed answers are worth for what they take: the Inference Efficiency Score."""
    async with options.open() as (client, factory):
        tally = await published_tally(client, factory)
    report = efficiency_report(tally.efficiency, by=cast(By, by), tenant=tenant)
    if as_json:
        click.echo(json.dumps([{**whereabouts(factory), **asdict(group)} for group in report]))
        return
    Console(width=80).print(_table(report, by))


def _table(report: Sequence[GroupEfficiency], by: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(by, overflow="fold")
    for heading in ("calls", "quality", "seconds", "$/1k", "Wh/1k", "IES"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in report:
        table.add_row(
            group.name,
            str(group.calls),
            _shown(group.quality, 1.0, ".3f"),
            _shown(group.latency_s, 1.0, ".2f"),
            _shown(group.cost_usd, 1000.0, ".4g"),
            _shown(group.wh, 1000.0, ".4g"),
            _shown(group.efficiency, 1.0, ".4g"),
        )
    return table


def _shown(amount: float | None, times: float, form: str) -> str:
    return "-" if amount is None else format(times * amount, form)
