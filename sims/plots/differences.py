"""The picture of the verdict: how far each policy is ahead of the best fixed arm, on every table and in every world."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from highwayman.sims.plots.style import (
    INK,
    LETTER_IN,
    QUIET,
    WIDTH_IN,
    Look,
    Picture,
    gridlines,
    heading,
    house_style,
    panel,
    sheet,
    short,
    steps,
    tick_sign,
    title,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.reports.standings import Finding, Standing, signed, standings
from highwayman.sims.sweeps.results import Case, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE_IN, _TOP, _BELOW, _GAP = 0.26, 0.3, 0.4, 0.5
_HEADING_IN = 0.42
_FIGURES_IN = 0.6


def differences(results: Results, look: Look) -> Picture | None:
    """Return small plots, one per table and world, of paired differences with intervals; None without any."""
    cases = results.cases()
    found = {case: {one.name: one for one in standings(case) if one.over_fixed.n} for case in cases}
    if not any(found.values()):
        return None
    columns = min(len(cases), 3 if len(cases) % 2 or len(cases) > 4 else 2)
    beside = LETTER_IN * max(len(short(name)) for name in look.names) + 0.15
    width = (WIDTH_IN - columns * (_FIGURES_IN + _GAP) - beside) / columns
    row_in = _TOP + _LINE_IN * len(look.names) + _BELOW
    limits = _limits([one for standing in found.values() for one in standing.values()])
    with house_style():
        figure = sheet(_HEADING_IN + row_in * -(-len(cases) // columns))
        heading(figure, "Ahead of the best fixed arm: value per round, with 95% intervals")
        for place, case in enumerate(cases):
            row, column = divmod(place, columns)
            left, top = beside + column * (width + _FIGURES_IN + _GAP), _HEADING_IN + row * row_in + _TOP
            axes = panel(figure, left, top, width=width, height=row_in - _TOP - _BELOW)
            axes.set_xlim(*limits)
            _draw(axes, found[case], look, named=column == 0)
            title(axes, short(f"{case.table}, {case.world}", 34))
        return Picture("differences", svg_of(figure), _alt(results, found), _caption(results))


def _limits(found: Sequence[Standing]) -> tuple[float, float]:
    """Return limits that hold all means and, unless few seeds make them very wide, all intervals."""
    means = [one.over_fixed.mean for one in found] + [0.0]
    ends = [end for one in found for end in (one.over_fixed.low, one.over_fixed.high) if math.isfinite(end)]
    span = max(means) - min(means) or 0.01
    low, high = min([*means, *ends]), max([*means, *ends])
    low, high = max(low, min(means) - span), min(high, max(means) + span)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _draw(axes: "Axes", found: Mapping[str, Standing], look: Look, *, named: bool) -> None:
    axes.set_ylim(len(look.names) - 0.5, -0.5)
    axes.axvline(0.0, color=INK, linewidth=1.1)
    for place, name in enumerate(look.names):
        if named:
            _write(axes, (-0.02, place), short(name), look.color(name), ha="right", fontweight="bold")
        if name in found:
            _draw_one(axes, found[name], place, look.color(name))
    axes.set_yticks([])
    axes.set_xticks(steps(*axes.get_xlim(), most=4))
    axes.xaxis.set_major_formatter(tick_sign)
    gridlines(axes, "x")


def _draw_one(axes: "Axes", one: Standing, place: int, color: str) -> None:
    gap = one.over_fixed
    clear = one.finding is not Finding.UNCLEAR
    if math.isfinite(gap.low):
        axes.plot([gap.low, gap.high], [place, place], color=color, linewidth=2.6, solid_capstyle="round", alpha=0.75)
    fill = color if clear else "white"
    axes.plot([gap.mean], [place], "o", markersize=7.5, markerfacecolor=fill, markeredgecolor=color, mew=1.8)
    ink = INK if clear else QUIET
    _write(axes, (1.02, place), signed(gap.mean), ink, ha="left", fontweight="bold" if clear else "normal")


def _write(axes: "Axes", at: tuple[float, float], text: str, color: str, **how: Any) -> None:
    axes.text(*at, text, color=color, transform=axes.get_yaxis_transform(), va="center_baseline", **how)


def _alt(results: Results, found: Mapping[Case, Mapping[str, Standing]]) -> str:
    parts = []
    for case, standing in found.items():
        gaps = [one.over_fixed for one in standing.values()]
        pairs = ", ".join(
            f"{name} {signed(gap.mean)} from {signed(gap.low)} to {signed(gap.high)}"
            for name, gap in zip(standing, gaps, strict=True)
        )
        parts.append(f"{case.table}, {case.world}: {pairs}")
    return f"Value per round over the best fixed arm, with 95% intervals. {'; '.join(parts)}."


def _caption(results: Results) -> str:
    return (
        "Differences to the best fixed arm under the same seeds. A hollow dot: the interval includes 0, or one seed "
        "gives none, so nothing is shown. Left of the line routing loses."
    )
