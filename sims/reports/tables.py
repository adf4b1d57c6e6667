"""The report's tables as HTML: every policy against every baseline, all figures, the arms, and the manifest."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from highwayman.sims.measures.over_seeds import MeanInterval
from highwayman.sims.plots.style import Look, usd
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
_ENDS = re.compile(r"(?<=\w)([,+:/.])(?=[A-Za-z])")
_MARKS = {Finding.AHEAD: "▲", Finding.BEHIND: "▼", Finding.UNCLEAR: "○"}
_WORDS = {Finding.AHEAD: "ahead", Finding.BEHIND: "behind", Finding.UNCLEAR: "not clearly different"}


def comparison_table(case: Case, look: Look) -> str:
    """Return the table of paired differences: a row for each policy, a column for each baseline.

    The first row is the best fixed arm's, where there is another baseline to compare it with.
    """
    names, rows = against_baselines(case)
    reference = case.results.reference
    if reference in names and len(names) > 1:
        gaps = [UNKNOWN if name == reference else difference(case, reference, name) for name in names]
        rows = [(reference, gaps), *rows]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        f'<tr><th scope="row">{_row_name(case, policy, look)}</th>{"".join(map(_difference, gaps))}</tr>'
        for policy, gaps in rows
    )
    has_intervals = any(gap.n > 1 for _, gaps in rows for gap in gaps)
    caption = "Each policy's value less each baseline's, paired by seed: " + (
        "mean and 95% interval. ▲ all of the interval above 0, ▼ below, ○ includes 0"
        if has_intervals
        else "one seed, so no intervals"
    )
    return _table(caption, f'<th scope="col">policy</th>{head}', body)


def figures_table(case: Case, look: Look) -> str:
    """Return the table of what everyone earned, cost and took: the best fixed arm, then all others, best first."""
    rows = reference_first(case)
    columns = [column for column in _COLUMNS if any(math.isfinite(getattr(run, column[1])) for run in case.runs)]
    has_intervals = any(row.value.n > 1 for row in rows)
    heads = ["name", "value [95% interval]" if has_intervals else "value", *(title for title, _, _ in columns)]
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in heads)
    body = "".join(_figures_row(case, row, look, columns) for row in rows)
    return _table("All figures, means over seeds; the best fixed arm, then all others, best first", head, body)


def arms_table(case: Case) -> str:
    """Return the table of the arms as the table of prompts has them."""
    arms = case.arms
    head = "".join(
        f'<th scope="col">{heading}</th>'
        for heading in ("arm", "quality", "cost of 1,000 requests", "penalty", "value")
    )
    rows = zip(arms.names, arms.quality, arms.cost_usd, arms.penalty, strict=True)
    body = "".join(
        f'<tr><th scope="row">{breakable(name)}</th>'
        + _cells([f"{quality:.3f}", usd(_PER * cost), f"{penalty:.3f}", f"{quality - penalty:.3f}"])
        + "</tr>"
        for name, quality, cost, penalty in rows
    )
    return _table("The arms, each taken for every prompt of the table", head, body)


def manifest_table(manifest: Mapping[str, Any]) -> str:
    """Return the manifest as rows of a dotted name and a value."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="text"><code>{escape(value)}</code></td></tr>'
        for name, value in _flat(manifest)
    )
    return _table(
        "What was run, and with what", '<th scope="col">name</th><th scope="col" class="text">value</th>', body
    )


_Column = tuple[str, str, str]  # title, column of the runs, how to write it
_COLUMNS: tuple[_Column, ...] = (
    ("quality", "quality", ".3f"),
    ("cost of 1,000 requests", "cost_usd", "usd"),
    ("first 10%", "first_value", ".3f"),
    ("last 25%", "last_value", ".3f"),
    ("regret to best fixed", "regret_fixed", "+.3f"),
    ("regret to oracle", "regret_oracle", "+.3f"),
    ("exploration, whole run", "exploration_usd", "dollars"),
    ("efficiency (IES), per dollar of 1,000 requests", "ies", ".3f"),
    ("worst 500 rounds over ceiling", "budget_ratio", "times"),
)


def _figures_row(case: Case, standing: PolicyStanding, look: Look, columns: Sequence[_Column]) -> str:
    name = _row_name(case, standing.name, look)
    cells = [interval(standing.value, sign=False)]
    cells += [_figure(over_seeds(case.values(standing.name, column)).mean, format_) for _, column, format_ in columns]
    return f'<tr class="{standing.kind}"><th scope="row">{name}</th>{_cells(cells)}</tr>'


def _figure(value: float, format_: str) -> str:
    if math.isnan(value):
        return "–"
    if format_ in ("usd", "dollars"):
        return usd(_PER * value if format_ == "usd" else value)
    return f"{value:.2f} ×" if format_ == "times" else f"{value:{format_}}".replace("-", "−")


def _difference(gap: MeanInterval) -> str:
    outcome = finding(gap)
    if gap.n == 0:
        return "<td>–</td>"
    if gap.n == 1:
        return f"<td>{signed(gap.mean)}</td>"
    mark = f'<span class="mark" role="img" aria-label="{_WORDS[outcome]}">{_MARKS[outcome]}</span>'
    mean, _, ends = interval(gap).partition(" ")
    return f'<td class="{outcome}">{mark} {mean} <span class="ends">{ends}</span></td>'


def _row_name(case: Case, name: str, look: Look) -> str:
    return _named(name, look) if name in case.names(POLICY) else breakable(label_of(case, name))


def _named(policy: str, look: Look) -> str:
    return f'<span class="chip" style="background:{look.variable(policy)}"></span>{breakable(policy)}'


def breakable(name: str) -> str:
    """Return the name as HTML that may be broken where its parts end."""
    return _ENDS.sub(r"\1<wbr>", escape(name))


def _cells(values: Sequence[str]) -> str:
    return "".join(f"<td>{escape(value)}</td>" for value in values)


def _table(caption: str, head: str, body: str) -> str:
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{escape(caption)}"><table><caption>{escape(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
