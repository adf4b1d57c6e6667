"""Learning curves: what each policy earns as it learns, and when that has paid for the learning."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from highwayman.sims.plots.bands import Band, band, draw_band
from highwayman.sims.plots.focus import Window, best_first, focused, foremost
from highwayman.sims.plots.labels import Label, label_ends
from highwayman.sims.plots.palette import INK, QUIET
from highwayman.sims.plots.style import (
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

_LEFT, _TOP, _BELOW, _BETWEEN = 0.5, 0.35, 0.5, 0.6
_REGRET_IN = 2.1
_SPAN = 0.1  # of the rounds
_BANDS = 5  # more than so many cover each other
_DASHED = (0, (4, 3))


@dataclass(frozen=True, slots=True)
class _Curves:
    """What is drawn: policies' values and regrets, and the baselines' mean values."""

    values: Mapping[str, Band]
    regrets: Mapping[str, Band]
    levels: Mapping[str, float]
    reference: str  # the baseline to beat
    over_time: Band | None  # its value
    best: tuple[str, ...]  # the policies, best first
    span: int  # rounds that a value is the mean of


def learning(case: Case, look: Look) -> Picture | None:
    """Return the plot of value and regret over the rounds, or None where no policy has a curve."""
    found = _curves(case)
    if not found.values:
        return None
    with house_style():
        figure = sheet(max(3.9, 0.175 * (len(found.values) + len(found.levels)) + 0.6) + _TOP + _BELOW)
        height = figure.get_figheight() - _TOP - _BELOW
        beside = room([*found.values, *found.levels])
        regret_room = room(list(found.regrets)) + _BETWEEN + _REGRET_IN if found.regrets else 0.0
        width = WIDTH_IN - _LEFT - beside - regret_room
        _draw_values(panel(figure, _LEFT, _TOP, width=width, height=height), found, look)
        if found.regrets:
            left = WIDTH_IN - regret_room + _BETWEEN
            _draw_regrets(panel(figure, left, _TOP, width=_REGRET_IN, height=height), found, look)
        return Picture("learning", svg_of(figure), _alt(found), _caption(case, found))


def _curves(case: Case) -> _Curves:
    span = max(round(_SPAN * max(run.rounds for run in case.runs)), 1)
    policies, reference = case.names(POLICY), case.results.reference
    values = {name: band(case, name, "value", window=span) for name in policies}
    regrets = {name: band(case, name, "regret", cumulative=True) for name in policies}
    means = {name: float(case.values(name).mean()) for name in case.names(BASELINE)}
    return _Curves(
        {name: one for name, one in values.items() if one is not None},
        {name: one for name, one in regrets.items() if one is not None},
        {name: mean for name, mean in means.items() if np.isfinite(mean)},
        reference,
        band(case, reference, "value", window=span),
        best_first(case),
        span,
    )


def _draw_values(axes: "Axes", found: _Curves, look: Look) -> None:
    last = max(float(one.rounds[-1]) for one in found.values.values())
    core = [found.values[name].mean for name in foremost(found.best) if name in found.values]
    if found.over_time is not None:
        core.append(found.over_time.mean)
    core.append(np.array([level for name, level in found.levels.items() if name == found.reference]))
    ends = [float(one.mean[-1]) for one in found.values.values()]
    window = focused(np.concatenate(core).tolist(), [*found.levels.values(), *ends])
    _limit(axes, window)
    labels = [*_draw_levels(axes, found, window, last), *_draw_bands(axes, found, found.values, look)]
    round_ticks(axes, last)
    title(axes, f"Value per round, mean of the last {found.span:,}")
    axes.set_xlabel("round", loc="left")
    gridlines(axes)
    label_ends(axes, [window.label_with_value(one, ".3f") for one in labels])


def _draw_levels(axes: "Axes", found: _Curves, window: Window, last: float) -> list[Label]:
    """Draw the baselines that are in sight, the reference over time if its values are known, and return their names."""
    labels = []
    for name, level in found.levels.items():
        ours = name == found.reference
        rounds, values = np.array([0.0, last]), np.array([level, level])
        if ours and found.over_time is not None:
            rounds, values = found.over_time.rounds, found.over_time.mean
        color = INK if ours else QUIET
        if not window.beyond(level):
            axes.plot(rounds, values, color=color, linewidth=1.4 if ours else 1.0, linestyle=_DASHED, zorder=1.5)
        labels.append(Label(last, float(values[-1]), name, color, bold=ours))
    return labels


def _draw_bands(axes: "Axes", found: _Curves, bands: Mapping[str, Band], look: Look) -> list[Label]:
    """Draw the lines, with intervals where these would not cover each other, and return their names."""
    for name, one in bands.items():
        draw_band(axes, one, name, look, shaded=name in found.best[:_BANDS])
    return [Label(float(one.rounds[-1]), float(one.mean[-1]), name, look.color(name)) for name, one in bands.items()]


def _draw_regrets(axes: "Axes", found: _Curves, look: Look) -> None:
    last = max(float(one.rounds[-1]) for one in found.regrets.values())
    core = [float(y) for name in foremost(found.best) if name in found.regrets for y in found.regrets[name].mean]
    window = focused([0.0, *core], [float(one.mean[-1]) for one in found.regrets.values()])
    _limit(axes, window)
    labels = _draw_bands(axes, found, found.regrets, look)
    axes.axhline(0.0, color=INK, linewidth=1.0, linestyle=_DASHED)
    round_ticks(axes, last)
    axes.yaxis.set_major_formatter(tick_sign)
    title(axes, f"Regret so far against {found.reference}")
    axes.set_xlabel("below 0: learning has paid for itself", loc="left")
    gridlines(axes)
    label_ends(axes, [window.label_with_value(one, "+,.0f") for one in labels])


def _limit(axes: "Axes", window: Window) -> None:
    """Leave room for the means; bands of very few seeds may be cut, or they would be all there is to see."""
    margin = 0.06 * (window.high - window.low) or 0.05
    axes.set_ylim(window.low - margin, window.high + margin)


def _alt(found: _Curves) -> str:
    curves = "; ".join(f"{name} from {one.mean[0]:.3f} to {one.mean[-1]:.3f}" for name, one in found.values.items())
    lines = ", ".join(f"{name} {level:.3f}" for name, level in found.levels.items())
    return f"Learning curves of value per round. {curves}. Baselines: {lines or 'none'}."


def _caption(case: Case, found: _Curves) -> str:
    seeds = len({run.seed for run in case.runs})
    which = "their 95% intervals" if len(found.values) <= _BANDS else f"the 95% intervals of the {_BANDS} best"
    lines = f"Lines are means over {seeds} seeds, bands {which}" if seeds > 1 else "One seed ran, which gives no bands"
    over_time = f", but {found.reference} as it went" if found.over_time is not None else ""
    return (
        f"{lines}; dashed lines are baselines, at their means over all rounds{over_time}. Value is quality minus "
        "penalty. What an arrow points to lies off the plot."
    )
