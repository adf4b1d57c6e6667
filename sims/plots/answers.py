"""What policies would have earned on a log: values with intervals, one panel each for quality, cost and utility."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from highwayman.sims.ope.estimators.rewards import RewardKind
from highwayman.sims.plots.palette import INK
from highwayman.sims.plots.style import (
    LETTER_IN,
    WIDTH_IN,
    Look,
    Picture,
    gridlines,
    house_style,
    panel,
    sheet,
    short,
    steps,
    title,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.replay.comparison import KINDS, LoggedPolicyValue, PolicyEstimate, PolicyVerdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AS_IT_RAN = "as it ran"
_TITLES: dict[RewardKind, str] = {
    "quality": "Quality per answer",
    "cost_usd": "Dollars per 1,000 requests",
    "utility": "Utility: quality minus penalty",
}
_PER: dict[RewardKind, float] = {"quality": 1.0, "cost_usd": 1000.0, "utility": 1.0}
_ROW_IN, _TOP, _BELOW, _GAP, _RIGHT = 0.3, 0.35, 0.35, 0.45, 0.2
_WIDEST = 3.0  # intervals this many times as wide as the values are apart are cut, so that something can be seen


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    color: str
    value: float
    low: float
    high: float
    conclusive: bool  # whether the log can tell


def answers(logged: LoggedPolicyValue, estimates: Sequence[PolicyEstimate], look: Look) -> Picture:
    """Return the plot; a row for what ran and for each policy, hollow where the log cannot tell."""
    kinds = [kind for kind in KINDS if logged.means[kind].n]
    names = [AS_IT_RAN, *(estimate.policy for estimate in estimates)]
    beside = LETTER_IN * max(len(short(name)) for name in names) + 0.15
    width = (WIDTH_IN - beside - _GAP * (len(kinds) - 1) - _RIGHT) / max(len(kinds), 1)
    height = _ROW_IN * len(names)
    with house_style():
        figure = sheet(_TOP + height + _BELOW)
        for place, kind in enumerate(kinds):
            axes = panel(figure, beside + place * (width + _GAP), _TOP, width=width, height=height)
            rows = _rows(logged, estimates, look, kind)
            _draw(axes, rows, named=place == 0)
            title(axes, _TITLES[kind])
        return Picture("answers", svg_of(figure), _alt(logged, estimates, kinds), _CAPTION)


_CAPTION = (
    "Dots are estimates, lines their intervals; the dashed line is what ran. A hollow dot: the log cannot tell, or the "
    "interval of the difference to what ran includes 0. Lines that leave the plot are wider than it."
)


def _rows(logged: LoggedPolicyValue, estimates: Sequence[PolicyEstimate], look: Look, kind: RewardKind) -> list[_Row]:
    per, ran = _PER[kind], logged.means[kind]
    rows = [_Row(AS_IT_RAN, INK, per * ran.value, per * ran.low, per * ran.high, conclusive=True)]
    for estimate in estimates:
        value = estimate.values[kind]
        conclusive = estimate.verdict in (PolicyVerdict.MORE, PolicyVerdict.LESS)
        rows.append(
            _Row(
                estimate.policy,
                look.color(estimate.policy),
                per * value.value,
                per * value.low,
                per * value.high,
                conclusive,
            )
        )
    return rows


def _draw(axes: "Axes", rows: Sequence[_Row], *, named: bool) -> None:
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(*_limits(rows))
    axes.axvline(rows[0].value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for place, row in enumerate(rows):
        axes.plot([row.low, row.high], [place, place], color=row.color, linewidth=2.2, solid_capstyle="butt")
        face = row.color if row.conclusive else "white"
        axes.plot([row.value], [place], "o", color=row.color, markerfacecolor=face, markersize=6.5, zorder=3)
    axes.set_yticks(range(len(rows)), [short(row.name) for row in rows] if named else [""] * len(rows))
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(row.color)
        label.set_fontweight("bold")
    axes.set_xticks(steps(*axes.get_xlim(), most=4))
    axes.xaxis.set_major_formatter("{x:g}")
    gridlines(axes, "x")


def _limits(rows: Sequence[_Row]) -> tuple[float, float]:
    values = [row.value for row in rows if math.isfinite(row.value)]
    apart = max(values) - min(values) or 0.02 * abs(values[0]) or 0.02
    lows = [max(row.low, min(values) - _WIDEST * apart) for row in rows if math.isfinite(row.low)]
    highs = [min(row.high, max(values) + _WIDEST * apart) for row in rows if math.isfinite(row.high)]
    low, high = min([*values, *lows]), max([*values, *highs])
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _alt(logged: LoggedPolicyValue, estimates: Sequence[PolicyEstimate], kinds: Sequence[RewardKind]) -> str:
    parts = [f"as it ran: {', '.join(f'{kind} {_PER[kind] * logged.means[kind].value:.4g}' for kind in kinds)}"]
    for estimate in estimates:
        values = ", ".join(f"{kind} {_PER[kind] * estimate.values[kind].value:.4g}" for kind in kinds)
        parts.append(f"{estimate.policy}: {values}, {estimate.verdict}")
    return f"What policies would have earned on the log. {'; '.join(parts)}."
