"""The picture: reward over time, and which arm the router chose for each kind at the end."""

from collections.abc import Sequence
from io import StringIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from highwayman.demo.play import last_third
from highwayman.demo.report.comparison import Comparison
from highwayman.demo.report.curve import Curve, fixed_curve, learned_curve, random_curve
from highwayman.demo.rounds import Round, RunSettings

_INK, _QUIET = "#1f2933", "#7b8794"
_LEARNED, _FIXED, _RANDOM = "#0b6e4f", "#c8553d", "#8d99ae"
_ARM_COLORS = ("#9aa5b1", "#d99a1c", "#3d7ea6", "#6d597a", "#b56576", "#4f8a8b", "#a0785a", "#5c6b73")
_WINDOW = 60
_FIXED_WINDOW = 125  # rivals do not learn, and before the last third only every fifth round shows what they would do


def draw_picture(rounds: Sequence[Round], settings: RunSettings, found: Comparison) -> str:
    """Return the picture as SVG."""
    with mpl.rc_context({"font.size": 10, "text.color": _INK, "axes.labelcolor": _INK, "svg.hashsalt": "demo"}):
        figure = Figure(figsize=(10, 7.2), layout="constrained")
        top, bottom = figure.subplots(2, 1, height_ratios=(3, 2))
        _draw_reward(top, rounds, settings, found)
        _draw_shares(bottom, settings.arms, found)
        svg = StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return svg.getvalue()


def _draw_reward(axes: Axes, rounds: Sequence[Round], settings: RunSettings, found: Comparison) -> None:
    best = found.best_fixed.name.removeprefix("always ")
    lines = (
        ("learned", _LEARNED, 2.4, learned_curve(rounds, found.penalty, window=_WINDOW)),
        (found.best_fixed.name, _FIXED, 1.6, fixed_curve(rounds, best, found.penalty, window=_FIXED_WINDOW)),
        ("random", _RANDOM, 1.6, random_curve(rounds, found.penalty, window=_FIXED_WINDOW)),
    )
    for name, color, width, curve in lines:
        axes.plot(curve.x, curve.y, color=color, linewidth=width)
        _label_end(axes, curve, name, color)
    start = last_third(settings.rounds)
    axes.axvspan(start, settings.rounds, color="#f1f3f5", zorder=0)
    axes.text(start + 3, 0.02, "last third: every arm asked", color=_QUIET, transform=axes.get_xaxis_transform())
    axes.set_xlim(0, settings.rounds * 1.17)
    axes.set_xticks(range(0, settings.rounds + 1, max(50, settings.rounds // 10 // 50 * 50)))
    axes.set_title("Reward (quality minus cost)", loc="left", fontweight="bold")
    rivals = f"of those among the last {_FIXED_WINDOW} on which every arm was asked"
    axes.set_xlabel(f"round; mean of the last {_WINDOW} rounds (rivals: {rivals})")
    _quieten(axes)
    axes.spines["bottom"].set_bounds(0, settings.rounds)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)


def _label_end(axes: Axes, curve: Curve, name: str, color: str) -> None:
    """Write the line's name at its right end, in its color, so that no legend is needed."""
    if len(curve.x):
        at = (curve.x[-1], curve.y[-1])
        axes.annotate(name, at, xytext=(8, -3), textcoords="offset points", color=color, fontweight="bold")


def _draw_shares(axes: Axes, arms: Sequence[str], found: Comparison) -> None:
    kinds = list(found.shares)[::-1]
    left = [0.0] * len(kinds)
    for place, arm in enumerate(arms):
        widths = [found.shares[kind][arm] for kind in kinds]
        color = _ARM_COLORS[place % len(_ARM_COLORS)]
        bars = axes.barh(kinds, widths, left=left, color=color, label=arm, height=0.62)
        names = [f"{arm} {width:.0%}" if width >= 0.14 else "" for width in widths]
        axes.bar_label(bars, names, label_type="center", color="white", fontsize=9)
        left = [sum(pair) for pair in zip(left, widths, strict=True)]
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title("Arms the router chose for each kind, last third", loc="left", fontweight="bold")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    _quieten(axes)


def _quieten(axes: Axes) -> None:
    """Take away the lines that carry nothing."""
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=_INK)
