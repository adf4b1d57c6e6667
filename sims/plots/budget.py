"""Whether each policy kept to its budget all along."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from highwayman.sims.measures.budget import WINDOW
from highwayman.sims.plots.bands import Band, band, draw_band
from highwayman.sims.plots.focus import best_first
from highwayman.sims.plots.labels import Label, label_ends
from highwayman.sims.plots.palette import INK, OVER
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
    title,
    usd,
)
from highwayman.sims.plots.svg import svg_of
from highwayman.sims.sweeps.results import POLICY, Case

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _TOP, _HEIGHT = 0.5, 0.35, 2.6
_BANDS = 5  # more than so many cover each other


def budget(case: Case, look: Look) -> Picture | None:
    """Return the plot of rolling mean cost over the ceiling, or None where no budget was set or no cost is known."""
    ceiling = case.budget_usd
    bands_if_known = {name: band(case, name, "cost_usd", window=WINDOW) for name in case.names(POLICY)}
    bands = {name: policy_band for name, policy_band in bands_if_known.items() if policy_band is not None}
    if not ceiling > 0 or not bands:
        return None
    with house_style():
        figure = sheet(_TOP + _HEIGHT + 0.5)
        width = WIDTH_IN - _LEFT - room([*bands, "ceiling"])
        axes = panel(figure, _LEFT, _TOP, width=width, height=_HEIGHT)
        _draw(axes, {name: bands[name] for name in best_first(case) if name in bands}, look, ceiling)
        return Picture("budget", svg_of(figure), _alt(case, bands, ceiling), _caption(case, ceiling))


def _draw(axes: "Axes", bands: Mapping[str, Band], look: Look, ceiling: float) -> None:
    """Draw the bands, best policy first."""
    last = max(float(policy_band.rounds[-1]) for policy_band in bands.values())
    labels = [Label(last, 1.0, "ceiling", INK)]
    for place, (name, policy_band) in enumerate(bands.items()):
        scaled = Band(
            policy_band.rounds, policy_band.mean / ceiling, policy_band.low / ceiling, policy_band.high / ceiling
        )
        draw_band(axes, scaled, name, look, shaded=place < _BANDS)
        labels.append(Label(float(policy_band.rounds[-1]), float(scaled.mean[-1]), name, look.color(name)))
    highest = max(float(policy_band.mean.max()) for policy_band in bands.values()) / ceiling
    axes.set_ylim(0, max(1.25, 1.1 * highest))
    axes.axhspan(1.0, axes.get_ylim()[1], color=OVER, alpha=0.06, linewidth=0)
    axes.axhline(1.0, color=INK, linewidth=1.0)
    round_ticks(axes, last)
    axes.yaxis.set_major_formatter("{x:g}×")
    title(axes, f"Mean cost of the last {WINDOW} rounds, times the ceiling")
    axes.set_xlabel("round", loc="left")
    gridlines(axes)
    label_ends(axes, labels)


def _alt(case: Case, bands: Mapping[str, Band], ceiling: float) -> str:
    parts = []
    for name, policy_band in bands.items():
        ratios = case.values(name, "budget_ratio")
        worst = "" if math.isnan(ratios.max()) else f", worst window of any seed {ratios.max():.2f} times"
        parts.append(f"{name} ends at {policy_band.mean[-1] / ceiling:.2f} times{worst}")
    return f"Rolling mean cost against a ceiling of {usd(ceiling)} a request. {'; '.join(parts)}."


def _caption(case: Case, ceiling: float) -> str:
    seeds = len({run.seed for run in case.runs})
    few = len(case.names(POLICY)) <= _BANDS
    bands_text = "their 95% intervals" if few else f"the 95% intervals of the {_BANDS} best"
    ceiling_text = f"The ceiling is {usd(1000 * ceiling)} per 1,000 requests."
    if seeds == 1:
        return f"{ceiling_text} The table of all figures has the worst window."
    return (
        f"{ceiling_text} Lines are means over {seeds} seeds, bands {bands_text}; the worst window of a single seed, "
        "which the table of all figures has, may lie higher."
    )
