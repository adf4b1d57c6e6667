"""The command `highwayman judge report`."""

import json
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from highwayman.env.types import DEFAULT_TENANT
from highwayman.feedback.calibration.calibrator import tenant_flip_rate
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.judge.report import MORE_FLIPS, ArmReport, JudgeCalls, JudgeReport, judge_report
from highwayman.feedback.log.event_id import START
from highwayman.serving.cli.context import LogOptions, log_options, print_report, published_tally, whereabouts
from highwayman.serving.cli.errors import PlainErrorGroup


@click.group(cls=PlainErrorGroup)
def judge() -> None:
    """Look at what the judge says."""


@judge.command("report")
@click.option("--metric", default="judge", show_default=True, help="The judge, or another metric that is corrected.")
@click.option("--tenant", default=DEFAULT_TENANT, show_default=True, help="Whose answers.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@log_options
async def report_command(options: LogOptions, metric: str, tenant: str, as_json: bool) -> None:
    """Show agreement with thumbs, bias by arm, position bias, coverage and cost."""
    async with options.open() as (client, factory):
        tally = await published_tally(client, factory)
        calls = JudgeCalls()
        async for page in factory.retention(client).scan(START):
            calls.add_page(data for _, data, _ in page)
        default_flip_rate = factory.config.feedback.calibration.flip_rate
    cells = CountTable.from_counts(tally.calibration_counts.cells(), tenant=tenant, metric=metric)
    report = judge_report(
        cells, calls, flip=tenant_flip_rate(tally.calibration_counts, tenant, otherwise=default_flip_rate)
    )
    if as_json:
        click.echo(json.dumps({**whereabouts(factory), **report.to_dict()}))
        return
    print_report(_lines(report), as_json=False)
    if report.arms:
        Console().print(arms_table(report.arms))


def _lines(report: JudgeReport) -> dict[str, Any]:
    rates = (
        f"{report.good_given:.1%} of good answers, {report.bad_given:.1%} of bad ones"
        if report.good_given is not None and report.bad_given is not None
        else "not told apart: too few thumbs, or scores that say too little"
    )
    return {
        "answers_scored": _of(report.scored, report.coverage),
        "thumbs_on_them": report.thumbs,
        "agreement": "-" if report.agreement is None else f"{report.agreement:.0%}",
        "thumbs_are_given_to": rates,
        "thumbs_flipped": _flips(report),
        "scores_read_from": ", ".join(f"{source} {count}" for source, count in sorted(report.read.items())) or "-",
        "calls_of_the_judge": f"{report.calls}, of which {report.failed_calls} failed, ${report.cost_usd:.4f}",
        "shadow_answers": f"{report.shadow_calls}, ${report.shadow_usd:.4f}",
        "comparisons": report.comparisons,
        "bias_to_the_first_place": "-" if report.position_bias is None else f"{report.position_bias:+.2f} (of 1)",
    }


def _flips(report: JudgeReport) -> str:
    rate = f"{report.flip_rate:.1%}"
    if report.flip_sensitivity is None:
        return rate
    return (
        f"{rate}; at {report.flip_rate + MORE_FLIPS:.1%} a calibrated mean moves by up to {report.flip_sensitivity:.3f}"
    )


def _of(count: int, share: float | None) -> str:
    return f"{count}" if share is None else f"{count}, {share:.1%} of all"


def arms_table(arms: list[ArmReport] | Any) -> Table:
    """Return a line for each arm; its name is broken where the terminal ends, no number is."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", overflow="fold")
    for heading in ("scored", "thumbs", "mean score", "calibrated (95%)", "bias"):
        table.add_column(heading, justify="right", no_wrap=True)
    for arm in arms:
        is_calibrated = arm.quality is not None
        table.add_row(
            arm.arm,
            str(arm.scored),
            str(arm.thumbs),
            f"{arm.score:.3f}",
            f"{arm.quality:.3f} ({arm.low:.3f}-{arm.high:.3f})" if is_calibrated else "-",
            f"{arm.bias:+.3f}" if is_calibrated else "-",
        )
    return table
