"""Learning curves: what each policy earns as it learns, and when that has paid for the learning."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from highwayman.sims.plots.bands import Band, band, draw_band
from highwayman.sims.plots.labels import Label, label_ends
from highwayman.sims.plots.style import (
    INK,
    QUIET,
    WIDTH_IN,
    Look,
    Picture,
    gridlines,
    house_style,
    panel,
    room,
    round_ticks,
    sheet,
    tick_sign,
    title,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.sweeps.results import BASELINE, POLICY, Case

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _TOP, _BELOW = 0.5, 0.35, 0.5
_REGRET_IN = 2.1
_FAR = 1.0  # an oracle further above the rest than this share of their range is off the plot


def learning(case: Case, look: Look) -> Picture | None:
    """Return the plot of value and regret over the rounds, or None where no policy has a curve."""
    values = _bands(case, "value")
    if not values:
        return None
    regrets = _bands(case, "regret", cumulative=True)
    means = {name: float(case.values(name).mean()) for name in case.names(BASELINE)}
    levels = {name: mean for name, mean in means.items() if np.isfinite(mean)}
    with house_style():
        figure = sheet(max(3.9, 0.175 * (len(values) + len(levels)) + 0.6) + _TOP + _BELOW)
        height = figure.get_figheight() - _TOP - _BELOW
        beside = room([*values, *levels])
        regret_room = room(list(regrets)) + 0.6 + _REGRET_IN if regrets else 0.0
        width = WIDTH_IN - _LEFT - beside - regret_room
        _draw_values(panel(figure, _LEFT, _TOP, width=width, height=height), case, look, (values, levels))
        if regrets:
            left = WIDTH_IN - regret_room + 0.6
            _draw_regrets(panel(figure, left, _TOP, width=_REGRET_IN, height=height), case, look, regrets)
        return Picture("learning", svg_of(figure), _alt(values, levels), _caption(case))


def _bands(case: Case, column: str, *, cumulative: bool = False) -> dict[str, Band]:
    found = {name: band(case, name, column, cumulative=cumulative) for name in case.names(POLICY)}
    return {name: one for name, one in found.items() if one is not None}


def _draw_values(axes: "Axes", case: Case, look: Look, drawn: tuple[Mapping[str, Band], Mapping[str, float]]) -> None:
    values, levels = drawn
    last = max(float(one.rounds[-1]) for one in values.values())
    means = [float(y) for one in values.values() for y in one.mean]
    top = _top(means, levels, case.results.oracle)
    labels = []
    for name, level in levels.items():
        color = INK if name == case.results.reference else QUIET
        if level > top:
            labels.append(Label(last, top, f"{name} {level:.3f} \u2191", color))
            continue
        axes.plot([0, last], [level, level], color=color, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
        labels.append(Label(last, level, name, color, bold=name == case.results.reference))
    for name, one in values.items():
        draw_band(axes, one, name, look)
        labels.append(Label(float(one.rounds[-1]), float(one.mean[-1]), name, look.color(name)))
    _limit(axes, [*(level for level in levels.values() if level <= top), *means])
    round_ticks(axes, last)
    title(axes, "Value per round (quality minus penalty)")
    axes.set_xlabel("round", loc="left")
    gridlines(axes)
    label_ends(axes, labels)


def _draw_regrets(axes: "Axes", case: Case, look: Look, regrets: Mapping[str, Band]) -> None:
    last = max(float(one.rounds[-1]) for one in regrets.values())
    for name, one in regrets.items():
        draw_band(axes, one, name, look)
    axes.axhline(0.0, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    _limit(axes, [0.0, *(y for one in regrets.values() for y in one.mean)])
    round_ticks(axes, last)
    axes.yaxis.set_major_formatter(tick_sign)
    title(axes, f"Regret so far against {case.results.reference}")
    axes.set_xlabel("below 0: learning has paid for itself", loc="left")
    gridlines(axes)
    ends = [Label(float(one.rounds[-1]), float(one.mean[-1]), name, look.color(name)) for name, one in regrets.items()]
    label_ends(axes, ends)


def _limit(axes: "Axes", shown: Sequence[float]) -> None:
    """Leave room for all means; bands of very few seeds may be cut, or they would be all there is to see."""
    low, high = float(np.min(shown)), float(np.max(shown))
    margin = 0.06 * (high - low) or 0.05
    axes.set_ylim(low - margin, high + margin)


def _top(means: Sequence[float], levels: Mapping[str, float], oracle: str) -> float:
    """Return the highest value drawn: an oracle so far above that it would squeeze the rest is only named."""
    near = [*means, *(level for name, level in levels.items() if name != oracle)]
    high, low = max(near), min(near)
    return max([high, *(level for level in levels.values() if level <= high + _FAR * (high - low))])


def _alt(values: Mapping[str, Band], levels: Mapping[str, float]) -> str:
    curves = "; ".join(f"{name} from {one.mean[0]:.3f} to {one.mean[-1]:.3f}" for name, one in values.items())
    lines = ", ".join(f"{name} {level:.3f}" for name, level in levels.items())
    return f"Learning curves of value per round. {curves}. Baselines: {lines or 'none'}."


def _caption(case: Case) -> str:
    seeds = len({run.seed for run in case.runs})
    return (
        f"Lines are means over {seeds} seed{'s' * (seeds != 1)}, bands their 95% intervals; "
        "dashed lines are baselines, at their means over all rounds."
    )
