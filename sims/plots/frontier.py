"""Quality against cost: the arms, what mixing them reaches, and what routing reaches at each setting of the dial."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.pages.charts import Axis, Figure, Point, Scatter, Series
from highwayman.pages.palette import INK, OTHERS, QUIET
from highwayman.sims.plots.dollars import usd
from highwayman.sims.plots.look import Look
from highwayman.sims.simulation.world_spec import CALM
from highwayman.sims.sweeps.results import POLICY, Case, Setting

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
    settings: tuple[str, ...]  # in words; empty where there is only one
    seeds: Floats


def frontier(case: Case, look: Look) -> Figure | None:
    """Return the chart, or None where no cost is known."""
    lines = _lines(case)
    costs = [*(cost for line in lines.values() for cost in line.cost), *case.arms.cost_usd]
    if not any(math.isfinite(cost) and cost > 0 for cost in costs):
        return None
    axis = _axis([_PER * cost for cost in costs if math.isfinite(cost)])
    chart = Scatter(
        _alt(case, lines),
        axis,
        Axis("quality"),
        [*_arms(case, look), *_policies(lines, look), *_oracle(case)],
        [*_hull(case), *_curves(lines, look)],
        height=430,
    )
    policies = {name: look.policies[name] for name in lines}
    return Figure(
        chart,
        title="Quality and cost",
        caption=_caption(case),
        legend={**policies, **look.arms[case.table]},
        dashes={name: look.dash(name) for name in lines},
    )


def _lines(case: Case) -> dict[str, FrontierLine]:
    """Return each policy's settings; where only one was run, that of its runs."""
    lines = {}
    for name in case.names(POLICY):
        settings = [
            (setting.cost_usd, setting.quality, _dial([setting]))
            for setting in case.results.frontier
            if (setting.table, setting.world, setting.policy) == (case.table, case.world, name)
        ] or [(tuple(case.values(name, "cost_usd")), tuple(case.values(name, "quality")), "")]
        points = [np.array([cost, quality]) for cost, quality, _ in settings]
        means = np.array([point.mean(axis=1) for point in points])
        order = np.argsort(means[:, 0], kind="stable")
        if np.isfinite(means).all():
            told = tuple(settings[place][2] for place in order)
            lines[name] = FrontierLine(means[order, 0], means[order, 1], told, np.concatenate(points, axis=1).T)
    return lines


def _axis(costs: Sequence[float]) -> Axis:
    low, high = min(costs), max(costs)
    if 0 < low * _LOG_FROM <= high:
        return Axis("mean cost of 1,000 requests", "usd", "log", low / 1.35, high * 1.35)
    margin = 0.08 * (high - low) or 0.1 * high
    return Axis("mean cost of 1,000 requests", "usd", low=max(low - margin, 0.0), high=high + margin)


def _policies(lines: Mapping[str, FrontierLine], look: Look) -> list[Point]:
    """Return the policies' points; of few the best bears the name, of many the legend says who they are."""
    points = []
    for name, line in lines.items():
        color, best = look.policies[name], int(line.quality.argmax())
        points += [Point(_PER * cost, quality, name, color, faint=True) for cost, quality in line.seeds.tolist()]
        points += [
            Point(_PER * cost, quality, name, color, group=told, labelled=place == best and len(lines) <= _BESIDE)
            for place, (cost, quality, told) in enumerate(
                zip(line.cost.tolist(), line.quality.tolist(), line.settings, strict=True)
            )
        ]
    return points


def _curves(lines: Mapping[str, FrontierLine], look: Look) -> list[Series]:
    return [
        Series(name, look.policies[name], (_PER * line.cost).tolist(), line.quality.tolist(), dash=look.dash(name))
        for name, line in lines.items()
    ]


def _arms(case: Case, look: Look) -> list[Point]:
    named, colors = _named(case), look.arms[case.table]
    return [
        Point(
            _PER * cost, quality, name, QUIET if colors[name] == OTHERS else colors[name], "square", "arm",
            labelled=name in named,
        )
        for name, cost, quality in zip(case.arms.names, case.arms.cost_usd, case.arms.quality, strict=True)
        if math.isfinite(cost)
    ]  # fmt: skip


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


def _hull(case: Case) -> list[Series]:
    """Return the hull by points close enough for what is straight in dollars to be bent where the scale is not."""
    cost, quality = np.array(case.arms.hull, dtype=np.float64).reshape(-1, 2).T
    if not len(cost):
        return []
    corners = np.arange(len(cost), dtype=np.float64)
    at = np.linspace(0.0, corners[-1], _HULL_POINTS * (len(cost) - 1) + 1)
    x, y = _PER * np.interp(at, corners, cost), np.interp(at, corners, quality)
    return [Series("drawing between two arms", QUIET, x.tolist(), y.tolist(), dashed=True)]


def _oracle(case: Case) -> list[Point]:
    name = case.results.oracle
    runs = case.of(name)
    static = case.arms.baselines.get(name)
    if runs:
        cost, quality = float(case.values(name, "cost_usd").mean()), float(case.values(name, "quality").mean())
    elif static is not None:
        cost, quality = static.cost_usd, static.quality
    else:
        return []
    return [Point(_PER * cost, quality, name, INK, "diamond", "baseline")] if math.isfinite(cost) else []


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
        return f"points per dollar ({', '.join(f'{rate:,.0f}' if rate >= 1000 else f'{rate:.3g}' for rate in rates)})"
    weights = sorted({setting.cost_weight for setting in settings})
    return f"cost weights ({', '.join(f'{weight:g}' for weight in weights)})"
