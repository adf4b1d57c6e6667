"""Whether each policy kept to its budget all along."""

import math
from collections.abc import Mapping
from dataclasses import replace

from highwayman.pages.charts import Axis, Figure, Lines, Series
from highwayman.pages.palette import BAD
from highwayman.sims.measures.budget import WINDOW
from highwayman.sims.plots.bands import Band, band, framed, series
from highwayman.sims.plots.dollars import usd
from highwayman.sims.plots.focus import Window, best_first
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import POLICY, Case

_BANDS = 5  # more than so many cover each other
_CEILING = "ceiling"


def budget(case: Case, look: Look) -> Figure | None:
    """Return the chart of rolling mean cost over the ceiling, or None where no budget was set or no cost is known."""
    ceiling = case.budget_usd
    bands_if_known = {name: band(case, name, "cost_usd", window=WINDOW) for name in case.names(POLICY)}
    bands = {name: policy_band for name, policy_band in bands_if_known.items() if policy_band is not None}
    if not ceiling > 0 or not bands:
        return None
    last = max(float(policy_band.rounds[-1]) for policy_band in bands.values())
    highest = max(float(policy_band.mean.max()) for policy_band in bands.values()) / ceiling
    lines = [
        series(_over(bands[name], ceiling), name, look, shaded=place < _BANDS)
        for place, name in enumerate(name for name in best_first(case) if name in bands)
    ]
    window, lines, too_wide = framed(Window(0.0, max(1.25, 1.1 * highest)), lines)
    chart = Lines(
        _alt(case, bands, ceiling),
        Axis("round", "count", low=0.0, high=last),
        Axis(low=window.low, high=window.high),
        [Series(_CEILING, BAD, [0.0, last], [1.0, 1.0]), *lines],
        height=max(240, 16 * len(lines) + 60),
        named=True,
    )
    return Figure(
        chart,
        title=f"Mean cost of the last {WINDOW} rounds, times the ceiling",
        caption=_caption(case, ceiling) + too_wide,
        legend={_CEILING: BAD, **{name: look.policies[name] for name in bands}},
        dashes=look.dashes,
    )


def _over(policy_band: Band, ceiling: float) -> Band:
    return replace(
        policy_band, mean=policy_band.mean / ceiling, low=policy_band.low / ceiling, high=policy_band.high / ceiling
    )


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
