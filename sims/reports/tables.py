"""The report's tables as data: every policy against every baseline, all figures, the arms, and the manifest."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.plots.dollars import usd
from highwayman.sims.plots.look import Look
from highwayman.sims.reports.verdict import interval
from highwayman.sims.sweeps.results import POLICY, Case
from highwayman.sims.sweeps.standings import (
    UNKNOWN,
    Finding,
    PolicyStanding,
    against_baselines,
    difference,
    finding,
    label_of,
    over_seeds,
    reference_first,
    signed,
)

_PER = 1000
_MARKS = {
    Finding.AHEAD: ("good", "▲", "ahead"),
    Finding.BEHIND: ("bad", "▼", "behind"),
    Finding.UNCLEAR: ("", "○", "not clearly different"),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a row under a head."""

    text: str
    ends: str = ""  # of its interval
    mark: str = ""
    says: str = ""  # what the mark means
    tone: str = ""  # good or bad


@dataclass(frozen=True, slots=True)
class Row:
    """A policy, a baseline or an arm, and its figures."""

    name: str
    cells: Sequence[Cell]
    color: str = ""  # of its charts
    quiet: bool = False  # no policy


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table with what its figures mean."""

    caption: str
    heads: Sequence[str]  # of the names, then of the figures
    rows: Sequence[Row]
    meanings: Mapping[str, str] = field(default_factory=dict)  # by head
    prose: bool = False  # cells are words


def comparison_table(case: Case, look: Look) -> ReportTable:
    """Return the table of paired differences: a row for each policy, a column for each baseline.

    The first row is the best fixed arm's, where there is another baseline to compare it with.
    """
    names, rows = against_baselines(case)
    reference = case.results.reference
    if reference in names and len(names) > 1:
        gaps = [UNKNOWN if name == reference else difference(case, reference, name) for name in names]
        rows = [(reference, gaps), *rows]
    has_intervals = any(gap.n > 1 for _, gaps in rows for gap in gaps)
    caption = "Each policy's value less each baseline's, paired by seed: " + (
        "mean and 95% interval. ▲ all of the interval above 0, ▼ below, ○ includes 0"
        if has_intervals
        else "one seed, so no intervals"
    )
    return ReportTable(
        caption,
        ("policy", *names),
        [_row(case, policy, look, [_difference(gap) for gap in gaps]) for policy, gaps in rows],
    )


def figures_table(case: Case, look: Look) -> ReportTable:
    """Return the table of what everyone earned, cost and took: the best fixed arm, then all others, best first."""
    rows = reference_first(case)
    columns = [column for column in _COLUMNS if any(math.isfinite(getattr(run, column[1])) for run in case.runs)]
    has_intervals = any(row.value.n > 1 for row in rows)
    heads = ["name", "value [95% interval]" if has_intervals else "value", *(head for head, *_ in columns)]
    return ReportTable(
        "All figures, means over seeds; the best fixed arm, then all others, best first",
        heads,
        [_row(case, row.name, look, _figures(case, row, columns)) for row in rows],
        {
            "value": "mean quality minus penalty of a round, learning included",
            **{column[0]: column[3] for column in columns},
        },
    )


def arms_table(case: Case, look: Look) -> ReportTable:
    """Return the table of the arms as the table of prompts has them."""
    arms, colors = case.arms, look.arms[case.table]
    return ReportTable(
        "The arms, each taken for every prompt of the table",
        ("arm", "quality", "cost of 1,000 requests", "penalty", "value"),
        [
            Row(
                name,
                _cells([f"{quality:.3f}", usd(_PER * cost), f"{penalty:.3f}", f"{quality - penalty:.3f}"]),
                colors[name],
            )
            for name, quality, cost, penalty in zip(arms.names, arms.quality, arms.cost_usd, arms.penalty, strict=True)
        ],
        {"penalty": "what the arm's cost counts in quality", "value": "quality minus penalty"},
    )


def manifest_table(manifest: Mapping[str, Any]) -> ReportTable:
    """Return the manifest as rows of a dotted name and a value."""
    rows = [Row(name, _cells([value])) for name, value in _flat(manifest)]
    return ReportTable("What was run, and with what", ("name", "value"), rows, prose=True)


_Column = tuple[str, str, str, str]  # head, column of the runs, how to write it, what it is
_COLUMNS: tuple[_Column, ...] = (
    ("quality", "quality", ".3f", "mean quality of the answers"),
    ("cost of 1,000 requests", "cost_usd", "usd", "mean cost of a request, times 1,000"),
    ("first 10%", "first_value", ".3f", "value over the first tenth of the rounds"),
    ("last 25%", "last_value", ".3f", "value over the last quarter of the rounds"),
    ("regret to best fixed", "regret_fixed", "+.3f", "what a round earned less than the best fixed arm; below 0, more"),
    ("regret to oracle", "regret_oracle", "+.3f", "what a round earned less than the best answer to every prompt"),
    ("exploration, whole run", "exploration_usd", "dollars", "what draws beyond the first choice cost"),
    ("efficiency (IES), per dollar of 1,000 requests", "ies", ".3f", "Inference Efficiency Score"),
    ("worst 500 rounds over ceiling", "budget_ratio", "times", "mean cost of the dearest 500 rounds in a row"),
)  # fmt: skip


def _row(case: Case, name: str, look: Look, cells: Sequence[Cell]) -> Row:
    if name in case.names(POLICY):
        return Row(name, cells, look.policies[name])
    return Row(label_of(case, name), cells, quiet=True)


def _figures(case: Case, standing: PolicyStanding, columns: Sequence[_Column]) -> list[Cell]:
    mean, _, ends = interval(standing.value, sign=False).partition(" ")
    texts = [_figure(over_seeds(case.values(standing.name, column)).mean, form) for _, column, form, _ in columns]
    return [Cell(mean, ends), *_cells(texts)]


def _figure(value: float, form: str) -> str:
    if math.isnan(value):
        return "–"
    if form in ("usd", "dollars"):
        return usd(_PER * value if form == "usd" else value)
    return f"{value:.2f} ×" if form == "times" else f"{value:{form}}".replace("-", "−")


def _difference(gap: MeanInterval) -> Cell:
    if gap.n < 2:
        return Cell(signed(gap.mean) if gap.n else "–")
    tone, mark, says = _MARKS[finding(gap)]
    mean, _, ends = interval(gap).partition(" ")
    return Cell(mean, ends, mark, says, tone)


def _cells(texts: Sequence[str]) -> list[Cell]:
    return [Cell(text) for text in texts]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
