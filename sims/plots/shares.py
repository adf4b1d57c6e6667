"""Which arms each policy chose, over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.plots.bands import thinned
from highwayman.sims.plots.style import (
    ARM_COLORS,
    INK,
    LETTER_IN,
    OTHERS,
    WIDTH_IN,
    Look,
    Picture,
    heading,
    house_style,
    panel,
    round_ticks,
    sheet,
    short,
    title,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.sweeps.results import POLICY, Case

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS, _PANEL_IN, _ROW_IN = 3, 1.35, 1.95
_LEFT, _GAP, _TOP, _RIGHT = 0.5, 0.5, 1.05, 0.3
_POINTS = 40
_DARK = frozenset(("#0c71be", "#7a4550", "#2c3e63", "#ad622e"))


def shares(case: Case, look: Look) -> Picture | None:
    """Return small plots, one per policy, of the arms' shares of the rounds; None where no run says which it took."""
    found = {name: one for name in case.names(POLICY) if (one := _mean_shares(case, name)) is not None}
    if not found:
        return None
    arms, colors, folded = _folded(case.arms.names, found)
    with house_style():
        figure = sheet(_TOP - 0.25 + _ROW_IN * -(-len(found) // _COLUMNS))
        heading(figure, "Arms chosen over time")
        width = (WIDTH_IN - _LEFT - _GAP * (_COLUMNS - 1) - _RIGHT) / _COLUMNS
        for place, (name, (rounds, areas)) in enumerate(folded.items()):
            row, column = divmod(place, _COLUMNS)
            left, top = _LEFT + column * (width + _GAP), _TOP + row * _ROW_IN
            axes = panel(figure, left, top, width=width, height=_PANEL_IN)
            _draw(axes, rounds, areas, colors)
            title(axes, short(name, 34), color=look.color(name))
            axes.set_yticks([0, 0.5, 1] if column == 0 else [])
            axes.yaxis.set_major_formatter("{x:.0%}")
        _name_arms(panel(figure, 0.08, 0.36, width=WIDTH_IN - 0.16, height=0.3), arms, colors)
        return Picture("shares", svg_of(figure), _alt(arms, folded), "Means over seeds; each area is an arm's share.")


_Areas = Mapping[str, tuple[Floats, Floats]]


def _mean_shares(case: Case, name: str) -> tuple[Floats, Floats] | None:
    rounds, values = case.curve(name, "shares")
    if values.ndim != 3 or not values.shape[2]:
        return None
    rounds, values = thinned(rounds, values, most=_POINTS)
    return rounds, np.asarray(values.mean(axis=0), dtype=np.float64)  # (b,), (b, K)


def _folded(names: Sequence[str], found: _Areas) -> tuple[list[str], list[str], _Areas]:
    """Return arms, colors and areas in which all but the arms taken most are one: there are only so many colors."""
    if len(names) <= len(ARM_COLORS):
        return list(names), list(ARM_COLORS[: len(names)]), found
    taken = np.sum([areas.mean(axis=0) for _, areas in found.values()], axis=0)
    top = np.sort(np.argsort(-taken, kind="stable")[: len(ARM_COLORS)])
    rest = np.setdiff1d(np.arange(len(names)), top)
    folded = {
        name: (rounds, np.column_stack([areas[:, top], areas[:, rest].sum(axis=1)]))
        for name, (rounds, areas) in found.items()
    }
    return [*(names[one] for one in top), f"{len(rest)} others"], [*ARM_COLORS, OTHERS], folded


def _draw(axes: "Axes", rounds: Floats, areas: Floats, colors: Sequence[str]) -> None:
    x = np.concatenate([[0.0], rounds])
    stacked = np.concatenate([areas[:1], areas]).T
    axes.stackplot(x, stacked, colors=colors, linewidth=0.5, edgecolor="white")
    round_ticks(axes, float(rounds[-1]))
    axes.set_ylim(0, 1)
    middles = np.cumsum(areas[-1]) - areas[-1] / 2
    for share, middle, color in zip(areas[-1], middles, colors, strict=True):
        if share >= 0.14:
            ink = "white" if color in _DARK else INK
            axes.text(rounds[-1] * 0.98, middle, f"{share:.0%}", color=ink, ha="right", va="center_baseline")


def _name_arms(axes: "Axes", arms: Sequence[str], colors: Sequence[str]) -> None:
    """Write the arms' names in a row, each after a square of its color, shorter where they are many."""
    axes.set_axis_off()
    axes.set_ylim(0, 1)
    axes.set_xlim(0, WIDTH_IN - 0.16)
    longest = max(int((WIDTH_IN - 0.16) / len(arms) / LETTER_IN - 0.36 / LETTER_IN), 4)
    left = 0.0
    for name, color in zip(arms, colors, strict=True):
        axes.plot([left + 0.06], [0.5], "s", color=color, markersize=8, mew=0)
        axes.text(left + 0.18, 0.5, short(name, min(longest, 24)), va="center_baseline")
        left += 0.36 + LETTER_IN * len(short(name, min(longest, 24)))


def _alt(arms: Sequence[str], found: _Areas) -> str:
    parts = []
    for name, (_, areas) in found.items():
        last = sorted(zip(areas[-1], arms, strict=True), reverse=True)[:3]
        parts.append(f"{name} ends at " + ", ".join(f"{arm} {share:.0%}" for share, arm in last))
    return f"Shares of the arms over time. {'; '.join(parts)}."
