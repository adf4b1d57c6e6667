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
    curves = _curves(case)
    if not curves.values:
        return None
    with house_style():
        figure = sheet(max(3.9, 0.175 * (len(curves.values) + len(curves.levels)) + 0.6) + _TOP + _BELOW)
        height = figure.get_figheight() - _TOP - _BELOW
        beside = room([*curves.values, *curves.levels])
        regret_room = room(list(curves.regrets)) + _BETWEEN + _REGRET_IN if curves.regrets else 0.0
        width = WIDTH_IN - _LEFT - beside - regret_room
        _draw_values(panel(figure, _LEFT, _TOP, width=width, height=height), curves, look)
        if curves.regrets:
            left = WIDTH_IN - regret_room + _BETWEEN
            _draw_regrets(panel(figure, left, _TOP, width=_REGRET_IN, height=height), curves, look)
        return Picture("learning", svg_of(figure), _alt(curves), _caption(case, curves))


def _curves(case: Case) -> _Curves:
    span = max(round(_SPAN * max(run.rounds for run in case.runs)), 1)
    policies, reference = case.names(POLICY), case.results.reference
    values = {name: band(case, name, "value", window=span) for name in policies}
    regrets = {name: band(case, name, "regret", cumulative=True) for name in policies}
    means = {name: float(case.values(name).mean()) for name in case.names(BASELINE)}
    return _Curves(
        {name: policy_band for name, policy_band in values.items() if policy_band is not None},
        {name: policy_band for name, policy_band in regrets.items() if policy_band is not None},
        {name: mean for name, mean in means.items() if np.isfinite(mean)},
        reference,
        band(case, reference, "value", window=span),
        best_first(case),
        span,
    )


def _draw_values(axes: "Axes", curves: _Curves, look: Look) -> None:
    last = max(float(policy_band.rounds[-1]) for policy_band in curves.values.values())
    core = [curves.values[name].mean for name in foremost(curves.best) if name in curves.values]
    if curves.over_time is not None:
        core.append(curves.over_time.mean)
    core.append(np.array([level for name, level in curves.levels.items() if name == curves.reference]))
    ends = [float(policy_band.mean[-1]) for policy_band in curves.values.values()]
    window = focused(np.concatenate(core).tolist(), [*curves.levels.values(), *ends])
    _limit(axes, window)
    labels = [*_draw_levels(axes, curves, window, last), *_draw_bands(axes, curves, curves.values, look)]
    round_ticks(axes, last)
    title(axes, f"Value per round, mean of the last {curves.span:,}")
    axes.set_xlabel("round", loc="left")
    gridlines(axes)
    label_ends(axes, [window.label_with_value(label, ".3f") for label in labels])


def _draw_levels(axes: "Axes", curves: _Curves, window: Window, last: float) -> list[Label]:
    """Draw the baselines that are in sight, the reference over time if its values are known, and return their names."""
    labels = []
    for name, level in curves.levels.items():
        is_reference = name == curves.reference
        rounds, values = np.array([0.0, last]), np.array([level, level])
        if is_reference and curves.over_time is not None:
            rounds, values = curves.over_time.rounds, curves.over_time.mean
        color = INK if is_reference else QUIET
        if not window.beyond(level):
            axes.plot(
                rounds, values, color=color, linewidth=1.4 if is_reference else 1.0, linestyle=_DASHED, zorder=1.5
            )
        labels.append(Label(last, float(values[-1]), name, color, bold=is_reference))
    return labels


def _draw_bands(axes: "Axes", curves: _Curves, bands: Mapping[str, Band], look: Look) -> list[Label]:
    """Draw the lines, with intervals where these would not cover each other, and return their names."""
    for name, policy_band in bands.items():
        draw_band(axes, policy_band, name, look, shaded=name in curves.best[:_BANDS])
    return [
        Label(float(policy_band.rounds[-1]), float(policy_band.mean[-1]), name, look.color(name))
        for name, policy_band in bands.items()
    ]


def _draw_regrets(axes: "Axes", curves: _Curves, look: Look) -> None:
    last = max(float(policy_band.rounds[-1]) for policy_band in curves.regrets.values())
    core = [float(y) for name in foremost(curves.best) if name in curves.regrets for y in curves.regrets[name].mean]
    window = focused([0.0, *core], [float(policy_band.mean[-1]) for policy_band in curves.regrets.values()])
    _limit(axes, window)
    labels = _draw_bands(axes, curves, curves.regrets, look)
    axes.axhline(0.0, color=INK, linewidth=1.0, linestyle=_DASHED)
    round_ticks(axes, last)
    axes.yaxis.set_major_formatter(tick_sign)
    title(axes, f"Regret so far against {curves.reference}")
    axes.set_xlabel("below 0: learning has paid for itself", loc="left")
    gridlines(axes)
    label_ends(axes, [window.label_with_value(label, "+,.0f") for label in labels])


def _limit(axes: "Axes", window: Window) -> None:
    """Leave room for the means; bands of very few seeds may be cut, or they would be all there is to see."""
    margin = 0.06 * (window.high - window.low) or 0.05
    axes.set_ylim(window.low - margin, window.high + margin)


def _alt(curves: _Curves) -> str:
    curve_texts = "; ".join(
        f"{name} from {policy_band.mean[0]:.3f} to {policy_band.mean[-1]:.3f}"
        for name, policy_band in curves.values.items()
    )
    lines = ", ".join(f"{name} {level:.3f}" for name, level in curves.levels.items())
    return f"Learning curves of value per round. {curve_texts}. Baselines: {lines or 'none'}."


def _caption(case: Case, curves: _Curves) -> str:
    seeds = len({run.seed for run in case.runs})
    bands_text = "their 95% intervals" if len(curves.values) <= _BANDS else f"the 95% intervals of the {_BANDS} best"
    lines = (
        f"Lines are means over {seeds} seeds, bands {bands_text}" if seeds > 1 else "One seed ran, which gives no bands"
    )
    over_time = f", but {curves.reference} as it went" if curves.over_time is not None else ""
    return (
        f"{lines}; dashed lines are baselines, at their means over all rounds{over_time}. Value is quality minus "
        "penalty. What an arrow points to lies off the plot."
    )
