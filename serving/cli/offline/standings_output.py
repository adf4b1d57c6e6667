"""A sweep's standings as tables on a terminal, one for each table and world."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from highwayman.sims.reports.verdict import headline, judge_case
from highwayman.sims.sweeps.results import POLICY, Case, Results
from highwayman.sims.sweeps.standings import label_of

_Interval = Mapping[str, float | None] | None  # mean, low and high, as in a summary


def print_standings(results: Results, summary: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print what the best fixed arm, each policy and the other baselines earned, best first, and whether routing pays.

    Args:
        results: of a sweep.
        summary: of these results.
        console: 80 columns or more; long names are folded.
    """
    for case, case_summary in zip(results.cases(), summary, strict=True):
        console.print(_headed(case), style="bold", markup=False)
        console.print(_table(case, case_summary["results"]))
        verdict = judge_case(case)
        console.print(f"{headline([verdict])} {verdict.why}\n", markup=False)


def _headed(case: Case) -> str:
    seeds = len({run.seed for run in case.runs})
    rounds = f"{case.runs[0].rounds:,} rounds"
    averaging = f"means over {seeds} seeds of {rounds}, ± 95%" if seeds > 1 else f"1 seed of {rounds}"
    return f"{case.table}, {case.world}: {averaging}"


def _table(case: Case, rows: Sequence[Mapping[str, Any]]) -> Table:
    reference = case.results.reference
    priced = any("cost_usd" in row for row in rows)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", overflow="fold")
    for head in ("value", "over best fixed", "last quarter", "quality", *(["$ per 1k"] if priced else [])):
        table.add_column(head, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda row: row["name"] != reference):
        is_reference = row["name"] == reference  # against itself it is 0
        cells = [
            Text(f"{row['value']['mean']:.4f}"),
            Text("–") if is_reference else _lead(row["over_best_fixed"]),
            Text("–") if is_reference else _lead(row["over_best_fixed_last"]),
            Text(f"{row['quality']['mean']:.4f}"),
            *([_dollars(row.get("cost_usd"))] if priced else []),
        ]
        table.add_row(Text(label_of(case, row["name"])), *cells, style="" if row["kind"] == POLICY else "dim")
    return table


def _lead(difference: _Interval) -> Text:
    """Return a difference and half its interval's width (Student's t); green or red where that leaves out 0."""
    if difference is None or difference["mean"] is None:
        return Text("–")
    mean, low, high = difference["mean"], difference["low"], difference["high"]
    if low is None or high is None:
        return Text(f"{mean:+.4f}")
    return Text(f"{mean:+.4f} ±{high - mean:.4f}", style="green" if low > 0 else "red" if high < 0 else "")


def _dollars(cost: _Interval) -> Text:
    mean = cost["mean"] if cost is not None else None
    return Text("–" if mean is None else f"{1000 * mean:.4g}")
