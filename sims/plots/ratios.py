"""How well each policy's log can judge other policies: importance ratios, and what they leave of the rounds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from highwayman.sims.plots.palette import INK, QUIET
from highwayman.sims.plots.style import (
    TITLE_LETTER_IN,
    WIDTH_IN,
    Look,
    Picture,
    columns,
    heading,
    house_style,
    log_steps,
    panel,
    sheet,
    short,
    title,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.sweeps.results import Case, Ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL_IN, _ROW_IN = 1.0, 2.0
_LEFT, _GAP, _TOP, _RIGHT = 0.1, 0.4, 0.7, 0.3


def ratios(case: Case, look: Look) -> Picture | None:
    """Return small histograms, one per policy, or None where there are none."""
    case_ratios = [
        policy_ratios
        for policy_ratios in case.results.ratios
        if (policy_ratios.table, policy_ratios.world) == (case.table, case.world)
        and any(policy_ratios.counts)
        and policy_ratios.policy in look.names
    ]
    heading_text = "Importance ratios of an even draw against each policy's log"
    alt = "Importance ratios of an even target."
    return histograms(case_ratios, look, (heading_text, alt, _CAPTION))


def histograms(ratios_of_policies: Sequence[Ratios], look: Look, texts: tuple[str, str, str]) -> Picture | None:
    """Return a small histogram of each, under a heading, described and captioned; None without any."""
    if not ratios_of_policies:
        return None
    low, high = _range(ratios_of_policies)
    with house_style():
        across = columns(len(ratios_of_policies))
        figure = sheet(_TOP - 0.3 + _ROW_IN * -(-len(ratios_of_policies) // across))
        heading(figure, texts[0])
        width = (WIDTH_IN - _LEFT - _GAP * (across - 1) - _RIGHT) / across
        for place, policy_ratios in enumerate(ratios_of_policies):
            row, column = divmod(place, across)
            left, top = _LEFT + column * (width + _GAP), _TOP + row * _ROW_IN
            axes = panel(figure, left, top, width=width, height=_PANEL_IN)
            axes.set_xscale("log")
            axes.set_xlim(low, high)
            title(
                axes, short(policy_ratios.policy, int(width / TITLE_LETTER_IN)), color=look.color(policy_ratios.policy)
            )
            _draw(axes, policy_ratios, look)
        sizes = "; ".join(
            f"{policy_ratios.policy}: {' '.join(_effective(policy_ratios))}" for policy_ratios in ratios_of_policies
        )
        return Picture("ratios", svg_of(figure), f"{texts[1]} {sizes}.", texts[2])


_CAPTION = (
    "Each round's ratio is the probability an even draw would have given to the arm taken, over the probability the "
    "policy gave it. Ratios near 1 mean that the log can judge others; a long tail at the right means that a few "
    "rounds would decide, and the effective sample size says how few."
)


def _range(ratios_of_policies: Sequence[Ratios]) -> tuple[float, float]:
    """Return the least and the greatest ratio there was, 1 being among them."""
    filled = [
        (edge, policy_ratios.edges[place + 1])
        for policy_ratios in ratios_of_policies
        for place, edge in enumerate(policy_ratios.edges[:-1])
        if policy_ratios.counts[place]
    ]
    return min([0.9, *(low for low, _ in filled)]), max([1.1, *(high for _, high in filled)])


def _draw(axes: "Axes", policy_ratios: Ratios, look: Look) -> None:
    color = look.color(policy_ratios.policy)
    heights = np.array(policy_ratios.counts, dtype=np.float64) / sum(policy_ratios.counts)
    axes.stairs(heights, policy_ratios.edges, fill=True, color=color, alpha=0.85)
    axes.axvline(1.0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1.12 * heights.max())
    axes.set_yticks([])
    axes.set_xticks(log_steps(*axes.get_xlim()))
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    for line, text in enumerate(_effective(policy_ratios)):
        axes.text(0.0, -0.36 - 0.16 * line, text, color=QUIET, transform=axes.transAxes, va="center_baseline")


def _effective(policy_ratios: Ratios) -> tuple[str, str]:
    n = sum(policy_ratios.counts)
    return "effective sample size", f"{policy_ratios.ess:,.0f} of {n:,} rounds ({policy_ratios.ess / n:.0%})"
