"""The pictures of the verdicts: how far each policy is ahead of the best fixed arm, on each table in each world."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from highwayman.sims.plots.focus import Window, focused, foremost
from highwayman.sims.plots.palette import INK, PAPER, QUIET
from highwayman.sims.plots.style import (
    FONT_PT,
    Look,
    Picture,
    gridlines,
    house_style,
    panel,
    sheet,
    short,
    steps,
    tick_sign,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.sweeps.results import Case
from highwayman.sims.sweeps.standings import Finding, PolicyStanding, signed, standings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_IN, _SIDE, _TOP, _BELOW = 4.2, 0.1, 0.22, 0.3  # narrow enough for a telephone
_ROW_IN, _FIGURES_IN = 0.38, 0.5
_NAME = 38  # letters


def differences(cases: Sequence[Case], look: Look) -> list[Picture | None]:
    """Return a plot for each table and world, all to one scale; None where there is nothing to compare with."""
    standings_of_cases = [[standing for standing in standings(case) if standing.over_fixed.n] for case in cases]
    if not any(standings_of_cases):
        return [None] * len(cases)
    window = _window([case_standings for case_standings in standings_of_cases if case_standings])
    with house_style():
        return [
            _picture(case, case_standings, look, window) if case_standings else None
            for case, case_standings in zip(cases, standings_of_cases, strict=True)
        ]


def how_to_read(seeds: int) -> str:
    """Return a caption for all of the plots, of so many seeds."""
    lines = (
        "lines are 95% intervals. A hollow dot: the interval includes 0, so nothing is shown."
        if seeds > 1
        else "one seed gives no intervals, so the dots are hollow: nothing is shown."
    )
    return (
        "Dots are each policy's value per round less that of the best fixed arm under the same seeds, all to one "
        f"scale; {lines} Left of the line routing loses. An arrow points to what lies off the plot."
    )


def _window(standings_of_cases: Sequence[Sequence[PolicyStanding]]) -> Window:
    """Return limits that hold the better policies' means and, unless few seeds make them very wide, intervals."""
    means = [standing.over_fixed.mean for case_standings in standings_of_cases for standing in foremost(case_standings)]
    others = [
        end
        for case_standings in standings_of_cases
        for standing in case_standings
        for end in (standing.over_fixed.mean, *_ends(standing))
    ]
    core = focused([0.0, *means]) if any(means) else Window(-0.005, 0.005)
    return focused([core.low, core.high], others)


def _ends(standing: PolicyStanding) -> list[float]:
    return [end for end in (standing.over_fixed.low, standing.over_fixed.high) if math.isfinite(end)]


def _picture(case: Case, case_standings: Sequence[PolicyStanding], look: Look, window: Window) -> Picture:
    height = _ROW_IN * len(case_standings)
    figure = sheet(_TOP + height + _BELOW, _WIDTH_IN)
    axes = panel(figure, _SIDE, _TOP, width=_WIDTH_IN - 2 * _SIDE - _FIGURES_IN, height=height)
    margin = 0.06 * (window.high - window.low)
    axes.set_xlim(window.low - margin, window.high + margin)
    axes.set_ylim(len(case_standings) - 0.5, -0.5)
    axes.axvline(0.0, color=INK, linewidth=1.1)
    _write(axes, (0.0, -0.7), case.results.reference, INK, transform=axes.transData, ha=_away_from_edge(axes))
    for place, standing in enumerate(case_standings):
        _draw_standing(axes, standing, place, (look.color(standing.name), window))
    axes.set_yticks([])
    axes.set_xticks(steps(*axes.get_xlim(), most=4))
    axes.xaxis.set_major_formatter(tick_sign)
    gridlines(axes, "x")
    return Picture("differences", svg_of(figure), _alt(case, case_standings), "")


def _away_from_edge(axes: "Axes") -> str:
    low, high = axes.get_xlim()
    place = -low / (high - low)
    return "left" if place < 0.2 else "right" if place > 0.8 else "center"


def _draw_standing(axes: "Axes", standing: PolicyStanding, place: int, color_and_window: tuple[str, Window]) -> None:
    """Write the policy's name and value, and under them draw its interval, or an arrow where it is off the plot."""
    color, window = color_and_window
    gap, clear = standing.over_fixed, standing.finding is not Finding.UNCLEAR
    weight = "bold" if clear else "normal"
    _write(axes, (0.0, place - 0.22), short(standing.name, _NAME), color, ha="left", fontweight="bold")
    _write(axes, (1.02, place + 0.2), signed(gap.mean), INK if clear else QUIET, ha="left", fontweight=weight)
    at = place + 0.2
    if beyond := window.beyond(gap.mean):
        side = max(min(gap.mean, window.high), window.low)
        axes.plot([side], [at], "<" if beyond == "\u2193" else ">", color=color, markersize=7)
        return
    if math.isfinite(gap.low):
        axes.plot([gap.low, gap.high], [at, at], color=color, linewidth=2.6, solid_capstyle="butt", alpha=0.75)
    fill = color if clear else PAPER
    axes.plot([gap.mean], [at], "o", markersize=7, markerfacecolor=fill, markeredgecolor=color, mew=1.8)


def _write(axes: "Axes", at: tuple[float, float], text: str, color: str, **text_options: Any) -> None:
    text_options = {"transform": axes.get_yaxis_transform(), "fontsize": FONT_PT, **text_options}
    axes.text(*at, text, color=color, va="center_baseline", **text_options)


def _alt(case: Case, case_standings: Sequence[PolicyStanding]) -> str:
    descriptions = "; ".join(f"{standing.name} {_describe(standing)}" for standing in case_standings)
    return f"Value per round over the best fixed arm on {case.table}, {case.world}: {descriptions}."


def _describe(standing: PolicyStanding) -> str:
    gap = standing.over_fixed
    ends = f" from {signed(gap.low)} to {signed(gap.high)}" if math.isfinite(gap.low) else ", without an interval"
    return f"{signed(gap.mean)}{ends}"
