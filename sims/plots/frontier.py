"""Quality against cost: the arms, what mixing them reaches, and what routing reaches at each setting of the dial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.plots.labels import Label, label_points
from highwayman.sims.plots.palette import INK, QUIET
from highwayman.sims.plots.style import (
    WIDTH_IN,
    Look,
    Picture,
    gridlines,
    house_style,
    log_steps,
    panel,
    room,
    sheet,
    short,
    steps,
    tick_usd,
    title,
    usd,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.simulation.world_spec import CALM
from highwayman.sims.sweeps.results import POLICY, Case, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER = 1000.0  # requests a price is given for
_BESIDE = 4  # policies that are named beside their points
_NAMED = 12  # arms
_HULL_POINTS = 16  # between two corners
_LOG_FROM = 8.0  # times the cheapest cost at which the scale becomes logarithmic


@dataclass(frozen=True, slots=True, eq=False)
class FrontierLine:
    """A policy's settings by rising cost: means (m,) and the single seeds' points (p, 2)."""

    cost: Floats
    quality: Floats
    weights: tuple[float, ...]
    seeds: Floats


def frontier(case: Case, look: Look) -> Picture | None:
    """Return the plot, or None where no cost is known."""
    lines = _lines(case)
    costs = [*(cost for line in lines.values() for cost in line.cost), *case.arms.cost_usd]
    if not any(math.isfinite(cost) and cost > 0 for cost in costs):
        return None
    listed = len(lines) > _BESIDE
    with house_style():
        figure = sheet(5.35)
        right = room(list(lines)) + 0.4 if listed else 0.8
        axes = panel(figure, 0.5, 0.35, width=WIDTH_IN - 0.5 - right, height=4.5)
        _scale(axes, [_PER * cost for cost in costs if math.isfinite(cost)])
        policies, arms = _draw_policies(axes, lines, look), _draw_arms(axes, case)
        axes.margins(y=0.1)
        axes.set_ylim(axes.get_ylim())
        title(axes, "Quality and cost")
        axes.set_xlabel("mean cost of 1,000 requests, dollars", loc="left")
        gridlines(axes, "both")
        if listed:
            _list(axes, lines, look)
        labels = arms if listed else [*policies, *arms]
        label_points(
            axes, labels, avoid=[_on_hull(case), *((_PER * line.cost, line.quality) for line in lines.values())]
        )
        return Picture("frontier", svg_of(figure), _alt(case, lines), _caption(case))


def _lines(case: Case) -> dict[str, FrontierLine]:
    """Return each policy's settings; where only one was run, that of its runs."""
    lines = {}
    for name in case.names(POLICY):
        settings = [
            (setting.cost_usd, setting.quality, setting.cost_weight)
            for setting in case.results.frontier
            if (setting.table, setting.world, setting.policy) == (case.table, case.world, name)
        ] or [(tuple(case.values(name, "cost_usd")), tuple(case.values(name, "quality")), math.nan)]
        points = [np.array([cost, quality]) for cost, quality, _ in settings]
        means = np.array([point.mean(axis=1) for point in points])
        order = np.argsort(means[:, 0], kind="stable")
        if np.isfinite(means).all():
            weights = tuple(settings[place][2] for place in order)
            lines[name] = FrontierLine(means[order, 0], means[order, 1], weights, np.concatenate(points, axis=1).T)
    return lines


def _scale(axes: "Axes", costs: Sequence[float]) -> None:
    low, high = min(costs), max(costs)
    if 0 < low * _LOG_FROM <= high:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.35, high * 1.35)
        axes.set_xticks(log_steps(low / 1.35, high * 1.35))
        axes.set_xticks([], minor=True)
    else:
        margin = 0.08 * (high - low) or 0.1 * high
        axes.set_xlim(max(low - margin, 0.0), high + margin)
        axes.set_xticks(steps(*axes.get_xlim(), most=6))
    axes.xaxis.set_major_formatter(tick_usd)


def _draw_policies(axes: "Axes", lines: Mapping[str, FrontierLine], look: Look) -> list[Label]:
    labels = []
    for name, line in lines.items():
        color = look.color(name)
        axes.plot(*(_PER * line.seeds[:, :1], line.seeds[:, 1:]), "o", color=color, alpha=0.22, markersize=3, mew=0)
        axes.plot(_PER * line.cost, line.quality, color=color, linewidth=1.7, linestyle=look.dash(name), zorder=2.5)
        axes.plot(_PER * line.cost, line.quality, "o", color=color, markersize=5.5, mew=0, zorder=2.6)
        best = int(line.quality.argmax())
        labels.append(Label(_PER * float(line.cost[best]), float(line.quality[best]), name, color))
    return labels


def _list(axes: "Axes", lines: Mapping[str, FrontierLine], look: Look) -> None:
    """Name the policies beside the plot, the one of the best quality first: beside their points there is no room."""
    inches = axes.get_window_extent().width / axes.figure.dpi
    best_first = sorted(lines, key=lambda name: -float(lines[name].quality.max()))
    for place, name in enumerate(best_first):
        y = 0.97 - 0.045 * place
        line = [1 + 0.12 / inches, 1 + 0.42 / inches]
        options: dict[str, Any] = {"transform": axes.transAxes, "color": look.color(name), "clip_on": False}
        axes.plot(line, [y, y], linewidth=1.7, linestyle=look.dash(name), **options)
        axes.text(1 + 0.5 / inches, y, short(name), fontweight="bold", va="center_baseline", **options)


def _draw_arms(axes: "Axes", case: Case) -> list[Label]:
    """Draw the arms, their hull, and the oracle where its cost is known; return the names there is room for."""
    arms = case.arms
    if arms.hull:
        axes.plot(*_on_hull(case), color=QUIET, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1.5)
    points = [(name, cost, quality) for name, cost, quality in zip(arms.names, arms.cost_usd, arms.quality, strict=True)
              if math.isfinite(cost)]  # fmt: skip
    for _, cost, quality in points:
        axes.plot([_PER * cost], [quality], "s", color=QUIET, markersize=5, mew=0, zorder=2.4)
    named = _named(case)
    labels = [Label(_PER * cost, quality, name, QUIET, bold=False) for name, cost, quality in points if name in named]
    best = _oracle(case)
    if best is not None:
        axes.plot([_PER * best[0]], [best[1]], "D", color=INK, markersize=5.5, mew=0, zorder=2.7)
        labels.append(Label(_PER * best[0], best[1], case.results.oracle, INK))
    return labels


def _named(case: Case) -> frozenset[str]:
    """Return the arms to be named: all, or of many those on the hull and those that policies take most."""
    arms = case.arms
    if len(arms.names) <= _NAMED:
        return frozenset(arms.names)
    corners = set(arms.hull)
    on_hull = [
        name for name, *point in zip(arms.names, arms.cost_usd, arms.quality, strict=True) if tuple(point) in corners
    ]
    shares = [run.shares for run in case.runs if run.kind == POLICY and run.shares]
    taken = np.array(shares).mean(axis=0) if shares else np.zeros(len(arms.names))
    by_share = [arms.names[place] for place in np.argsort(-taken, kind="stable")]
    return frozenset(list(dict.fromkeys([*on_hull, *by_share]))[:_NAMED])


def _on_hull(case: Case) -> tuple[Floats, Floats]:
    """Return points of the hull, close enough for what is straight in dollars to be bent where the scale is not."""
    cost, quality = np.array(case.arms.hull, dtype=np.float64).reshape(-1, 2).T
    if len(cost) < 2:
        return _PER * cost, quality
    corners = np.arange(len(cost), dtype=np.float64)
    at = np.linspace(0.0, corners[-1], _HULL_POINTS * (len(cost) - 1) + 1)
    return _PER * np.interp(at, corners, cost), np.interp(at, corners, quality)


def _oracle(case: Case) -> tuple[float, float] | None:
    name = case.results.oracle
    runs = case.of(name)
    static = case.arms.baselines.get(name)
    if runs:
        cost_and_quality = float(case.values(name, "cost_usd").mean()), float(case.values(name, "quality").mean())
    elif static is not None:
        cost_and_quality = static.cost_usd, static.quality
    else:
        return None
    return cost_and_quality if math.isfinite(cost_and_quality[0]) else None


def _alt(case: Case, lines: Mapping[str, FrontierLine]) -> str:
    arms = zip(case.arms.names, case.arms.quality, case.arms.cost_usd, strict=True)
    of_arms = ", ".join(f"{name} {quality:.3f} at {usd(_PER * cost)}" for name, quality, cost in arms)
    ours = "; ".join(
        f"{name} " + ", ".join(f"{y:.3f} at {usd(_PER * x)}" for x, y in zip(line.cost, line.quality, strict=True))
        for name, line in lines.items()
    )
    return f"Mean quality against mean cost of 1,000 requests. Policies: {ours or 'unknown'}. Arms: {of_arms}."


def _caption(case: Case) -> str:
    settings = [setting for setting in case.results.frontier
                if (setting.table, setting.world) == (case.table, case.world)]  # fmt: skip
    dial = f"A policy's points are its {_dial(settings)}. " if settings else ""
    unnamed = " (those on the line and those taken most have names)" if len(case.arms.names) > _NAMED else ""
    table_note = (
        "" if case.world == CALM else " Squares and line are of the table: what the world changes is not in them."
    )
    return (
        f"{dial}They include what learning costs; faint points are single seeds. Squares are arms, each taken for "
        f"every prompt{unnamed}; the dashed line is what drawing between two of them at random reaches: below it, "
        f"routing at that cost is not worth its trouble.{table_note}"
    )


def _dial(settings: Sequence[Setting]) -> str:
    """Return in words what settings stand for: points per dollar, weights in results from before those."""
    rates = sorted({setting.points_per_usd for setting in settings})
    if all(map(math.isfinite, rates)):
        return f"points per dollar ({', '.join(f'{rate:.3g}' for rate in rates)})"
    weights = sorted({setting.cost_weight for setting in settings})
    return f"cost weights ({', '.join(f'{weight:g}' for weight in weights)})"
