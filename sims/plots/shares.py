"""Which arms each policy chose, over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.plots.bands import thinned
from highwayman.sims.plots.palette import ARM_COLORS, OTHERS, PAPER, WRITTEN_ON_DARK, WRITTEN_ON_LIGHT
from highwayman.sims.plots.style import (
    LETTER_IN,
    TITLE_LETTER_IN,
    WIDTH_IN,
    Look,
    Picture,
    columns,
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

_PANEL_IN, _ROW_IN, _LINE_IN = 1.35, 1.95, 0.24
_LEFT, _GAP, _TOP, _RIGHT = 0.5, 0.4, 0.75, 0.3
_NAMES_IN = WIDTH_IN - 0.16
_POINTS = 40
_DARK = frozenset(("#0c71be", "#7a4550", "#2c3e63", "#ad622e"))


def shares(case: Case, look: Look) -> Picture | None:
    """Return small plots, one per policy, of the arms' shares of the rounds; None where no run says which it took."""
    areas_of_policies = {
        name: policy_areas for name in case.names(POLICY) if (policy_areas := _mean_shares(case, name)) is not None
    }
    if not areas_of_policies:
        return None
    arms, colors, folded = _folded(case.arms.names, areas_of_policies)
    across, names = columns(len(areas_of_policies)), _in_rows(arms)
    above = _TOP + _LINE_IN * len(names)
    with house_style():
        figure = sheet(above + _ROW_IN * -(-len(areas_of_policies) // across) - 0.35)
        heading(figure, "Arms chosen over time")
        _name_arms(panel(figure, 0.08, 0.38, width=_NAMES_IN, height=_LINE_IN * len(names)), names, colors)
        width = (WIDTH_IN - _LEFT - _GAP * (across - 1) - _RIGHT) / across
        for place, (name, (rounds, areas)) in enumerate(folded.items()):
            row, column = divmod(place, across)
            left, top = _LEFT + column * (width + _GAP), above + row * _ROW_IN
            axes = panel(figure, left, top, width=width, height=_PANEL_IN)
            _draw(axes, rounds, areas, colors)
            title(axes, short(name, int(width / TITLE_LETTER_IN)), color=look.color(name))
            axes.set_yticks([0, 0.5, 1] if column == 0 else [])
            axes.yaxis.set_major_formatter("{x:.0%}")
        return Picture("shares", svg_of(figure), _alt(arms, folded), "Means over seeds; each area is an arm's share.")


_Areas = Mapping[str, tuple[Floats, Floats]]


def _mean_shares(case: Case, name: str) -> tuple[Floats, Floats] | None:
    rounds, values = case.curve(name, "shares")
    if values.ndim != 3 or not values.shape[2]:
        return None
    rounds, values = thinned(rounds, values, most=_POINTS)
    return rounds, np.asarray(values.mean(axis=0), dtype=np.float64)  # (b,), (b, K)


def _folded(names: Sequence[str], areas_of_policies: _Areas) -> tuple[list[str], list[str], _Areas]:
    """Return arms, colors and areas in which all but the arms taken most are one: there are only so many colors."""
    if len(names) <= len(ARM_COLORS) + 1:
        return list(names), [*ARM_COLORS, OTHERS][: len(names)], areas_of_policies
    taken = np.sum([areas.mean(axis=0) for _, areas in areas_of_policies.values()], axis=0)
    top = np.sort(np.argsort(-taken, kind="stable")[: len(ARM_COLORS)])
    rest = np.setdiff1d(np.arange(len(names)), top)
    folded = {
        name: (rounds, np.column_stack([areas[:, top], areas[:, rest].sum(axis=1)]))
        for name, (rounds, areas) in areas_of_policies.items()
    }
    return [*(names[column] for column in top), f"{len(rest)} others"], [*ARM_COLORS, OTHERS], folded


def _draw(axes: "Axes", rounds: Floats, areas: Floats, colors: Sequence[str]) -> None:
    x = np.concatenate([[0.0], rounds])
    stacked = np.concatenate([areas[:1], areas]).T
    axes.stackplot(x, stacked, colors=colors, linewidth=0.5, edgecolor=PAPER)
    round_ticks(axes, float(rounds[-1]))
    axes.set_ylim(0, 1)
    middles = np.cumsum(areas[-1]) - areas[-1] / 2
    for share, middle, color in zip(areas[-1], middles, colors, strict=True):
        if share >= 0.14:
            ink = WRITTEN_ON_DARK if color in _DARK else WRITTEN_ON_LIGHT
            axes.text(rounds[-1] * 0.98, middle, f"{share:.0%}", color=ink, ha="right", va="center_baseline")


def _in_rows(arms: Sequence[str]) -> list[list[tuple[str, float]]]:
    """Return the arms' names, as short as they have to be, and where each begins, in as few rows as hold them."""
    rows: list[list[tuple[str, float]]] = [[]]
    left = 0.0
    for arm in arms:
        name = short(arm)
        needed = 0.36 + LETTER_IN * len(name)
        if rows[-1] and left + needed > _NAMES_IN:
            rows.append([])
            left = 0.0
        rows[-1].append((name, left))
        left += needed
    return rows


def _name_arms(axes: "Axes", rows: Sequence[Sequence[tuple[str, float]]], colors: Sequence[str]) -> None:
    """Write the arms' names, each after a square of its color."""
    axes.set_axis_off()
    axes.set_xlim(0, _NAMES_IN)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    unused_colors = iter(colors)
    for row, names in enumerate(rows):
        for name, left in names:
            axes.plot([left + 0.06], [row], "s", color=next(unused_colors), markersize=8, mew=0)
            axes.text(left + 0.18, row, name, va="center_baseline")


def _alt(arms: Sequence[str], areas_of_policies: _Areas) -> str:
    parts = []
    for name, (_, areas) in areas_of_policies.items():
        last = sorted(zip(areas[-1], arms, strict=True), reverse=True)[:3]
        parts.append(f"{name} ends at " + ", ".join(f"{arm} {share:.0%}" for share, arm in last))
    return f"Shares of the arms over time. {'; '.join(parts)}."
