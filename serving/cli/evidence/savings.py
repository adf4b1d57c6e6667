"""The command `highwayman savings`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import click

from highwayman.env.types import DEFAULT_TENANT
from highwayman.feedback.savings.report import MeanDifference, SavingsReport, savings_report
from highwayman.serving.cli.context import LogOptions, log_options, print_report, published_tally, whereabouts

_NO_SLICE = (
    "no request of a control slice is on the log; `control: {}` in highwayman.yaml begins one (docs/how-to/savings.md)"
)


@click.command("savings")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Whose answers.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def savings(options: LogOptions, tenant: str, as_json: bool) -> None:
    """Show what the router saved beside its baseline, and what that did to quality."""
    async with options.open() as (client, factory):
        tally = await published_tally(client, factory)
        control = factory.config.control
        usd_per_day = 0.0 if control is None else control.router_usd_per_day
    report = savings_report(tally.control, tenant=tenant, router_usd_per_day=usd_per_day)
    if as_json:
        click.echo(json.dumps({**whereabouts(factory), **report.to_dict()}))
    elif not report.requests:
        click.echo(_NO_SLICE)
    else:
        print_report(_lines(report), as_json=False)


def _lines(report: SavingsReport) -> dict[str, str | int]:
    since = datetime.fromtimestamp(report.since or 0.0, UTC)
    saving, total, quality = report.saving_usd, report.total_usd, report.quality
    unpriced = {"without_a_price": f"{report.unpriced}, in none of these numbers"} if report.unpriced else {}
    return {
        "requests": f"{report.requests}, {report.control} of them the slice's, since {since:%Y-%m-%d}",
        "baseline_as_if_asked": f"{report.effective:.0f} times",
        **unpriced,
        "baseline_a_request": f"${report.baseline_usd or 0.0:.3g}",
        "router_a_request": f"${report.router_usd or 0.0:.3g}",
        "overhead": f"${report.overhead_usd:.3g} in all: judge, shadow calls, the router's machines",
        "saved_a_request": "-" if saving is None else _dollars(saving),
        "saved_in_all": "-" if total is None else _dollars(total),
        "rated": report.rated,
        "baseline_quality": _quality(report.baseline_quality),
        "router_quality": _quality(report.router_quality),
        "quality_gained": "-" if quality is None else _points(quality),
    }


def _dollars(difference: MeanDifference) -> str:
    return _interval(difference, _usd)


def _usd(amount: float) -> str:
    amount = round(amount, 12)  # below that it is what rounding has left of nothing
    return f"{'-' if amount < 0 else ''}${abs(amount):.3g}"


def _points(difference: MeanDifference) -> str:
    return _interval(difference, lambda quality: f"{round(quality, 4) + 0.0:+.4f}")


def _interval(difference: MeanDifference, shown: Callable[[float], str]) -> str:
    if difference.low is None or difference.high is None:
        return f"{shown(difference.value)} (no interval yet: too few draws of the slice)"
    return f"{shown(difference.value)} ({shown(difference.low)} to {shown(difference.high)})"


def _quality(quality: float | None) -> str:
    return "-" if quality is None else f"{quality:.4f}"
