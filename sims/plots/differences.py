"""The charts of the verdicts: how far each policy is ahead of the best fixed arm, on each table in each world."""

import math
from collections.abc import Sequence

from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals
from highwayman.sims.plots.focus import Window, focused, foremost
from highwayman.sims.plots.look import Look
from highwayman.sims.sweeps.results import Case
from highwayman.sims.sweeps.standings import Finding, PolicyStanding, label_of, signed, standings

_NOTES = {Finding.AHEAD: "ahead", Finding.BEHIND: "behind", Finding.UNCLEAR: "nothing is shown"}


def differences(cases: Sequence[Case], look: Look) -> list[Figure | None]:
    """Return a chart for each table and world, all to one scale; None where there is nothing to compare with."""
    standings_of_cases = [[standing for standing in standings(case) if standing.over_fixed.n] for case in cases]
    compared = [case_standings for case_standings in standings_of_cases if case_standings]
    if not compared:
        return [None] * len(cases)
    window = _window(compared).widened()
    return [
        _figure(case, case_standings, look, window) if case_standings else None
        for case, case_standings in zip(cases, standings_of_cases, strict=True)
    ]


def how_to_read(seeds: int) -> str:
    """Return a caption for all of the charts, of so many seeds."""
    lines = (
        "lines are 95% intervals. A hollow dot: the interval includes 0, so nothing is shown."
        if seeds > 1
        else "one seed gives no intervals, so the dots are hollow: nothing is shown."
    )
    return (
        "Dots are each policy's value per round less that of the best fixed arm under the same seeds, all to one "
        f"scale; {lines} Left of the line routing loses. An arrow points to what lies off the chart."
    )


def _window(standings_of_cases: Sequence[Sequence[PolicyStanding]]) -> Window:
    """Return limits that hold the better policies' means and, unless few seeds make them very wide, intervals."""
    means = [standing.over_fixed.mean for case_standings in standings_of_cases for standing in foremost(case_standings)]
    others = [
        end
        for case_standings in standings_of_cases
        for standing in case_standings
        for end in (standing.over_fixed.mean, *_ends(standing))
    ]
    core = focused([0.0, *means]) if any(means) else Window(-0.005, 0.005)
    return focused([core.low, core.high], others)


def _ends(standing: PolicyStanding) -> list[float]:
    return [end for end in (standing.over_fixed.low, standing.over_fixed.high) if math.isfinite(end)]


def _figure(case: Case, case_standings: Sequence[PolicyStanding], look: Look, window: Window) -> Figure:
    rows = [
        IntervalRow(
            standing.name,
            standing.over_fixed.mean,
            standing.over_fixed.low,
            standing.over_fixed.high,
            look.policies[standing.name],
            hollow=standing.finding is Finding.UNCLEAR,
            note=_NOTES[standing.finding],
        )
        for standing in case_standings
    ]
    axis = Axis("value per round, less the best fixed arm's", "signed", low=window.low, high=window.high)
    reference = label_of(case, case.results.reference)
    return Figure(Intervals(_alt(case, case_standings), axis, rows, reference=0.0, reference_label=reference))


def _alt(case: Case, case_standings: Sequence[PolicyStanding]) -> str:
    descriptions = "; ".join(f"{standing.name} {_describe(standing)}" for standing in case_standings)
    return f"Value per round over the best fixed arm on {case.table}, {case.world}: {descriptions}."


def _describe(standing: PolicyStanding) -> str:
    gap = standing.over_fixed
    ends = f" from {signed(gap.low)} to {signed(gap.high)}" if math.isfinite(gap.low) else ", without an interval"
    return f"{signed(gap.mean)}{ends}"
