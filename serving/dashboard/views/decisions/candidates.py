"""What one draw was among: each candidate's part of it, and what is believed of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from highwayman.env.types import CONTROL, ONLY_DRAWN, Decision, Mode
from highwayman.pages.charts import Axis, Figure, IntervalRow, Intervals
from highwayman.pages.palette import INK, OTHERS

_DEVIATIONS: Final = 2.0  # each way, that a line in the chart has
_NEVER_DRAWN: Final = frozenset({Mode.FORCED, Mode.STICKY})


@dataclass(frozen=True, slots=True)
class Part:
    """An arm's part of the line from 0 to 1 on which the draw falls."""

    arm: str
    begin: float
    end: float
    color: str
    is_drawn: bool

    @property
    def width(self) -> float:
        """Its length: the arm's probability."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class DrawShown:
    """The parts in the order in which they lie, and what is known of how the draw fell; no parts: nothing was drawn."""

    parts: Sequence[Part]
    said: str


def draw_shown(decision: Decision, colors: Mapping[str, str]) -> DrawShown:
    """Return how a decision's arm was drawn. The number itself is not on the log."""
    if decision.mode in _NEVER_DRAWN:
        return DrawShown((), f"Nothing was drawn: {decision.arm} was certain.")
    if len(decision.arms) == 1:
        return DrawShown((), f"Nothing was drawn: {decision.arm} was the only candidate.")
    told = ONLY_DRAWN in decision.context.flags  # by another router: of the others it is not known how probable
    ends = list(accumulate(decision.probs.tolist()))
    parts = [
        Part(arm, begin, end, OTHERS if told and arm != decision.arm else colors.get(arm, OTHERS), arm == decision.arm)
        for arm, begin, end in zip(decision.arms, [0.0, *ends[:-1]], ends, strict=True)
    ]
    return DrawShown(parts, _said(decision, next(part for part in parts if part.is_drawn), told=told))


def _said(decision: Decision, drawn: Part, *, told: bool) -> str:
    if told:
        return f"Another router drew {drawn.arm} and told its probability alone; the rest stands evenly at the others."
    if CONTROL in decision.context.flags:
        return (
            f"The control slice took this draw and gave it to its baseline; with its share, {drawn.arm} had "
            f"{drawn.width:.3g} in all."
        )
    return (
        f"The draw fell in {drawn.arm}'s part, between {drawn.begin:.3g} and {drawn.end:.3g}. Where in it is not on "
        "the log: the probability is all that estimates need."
    )


def beliefs_figure(explained: Mapping[str, Any], colors: Mapping[str, str]) -> Figure | None:
    """Return what quality is expected of each candidate, with its deviation; None where the policy does not say."""
    rows = [
        _interval(arm, numbers["expected_quality"], numbers["deviation"] or 0.0, colors.get(arm, INK))
        for arm, numbers in explained["candidates"].items()
        if numbers["expected_quality"] is not None
    ]
    if not rows:
        return None
    alt = f"Quality expected of each candidate for this query, by version {explained['beliefs']['version']}."
    caption = "The policy's belief for this very query; a line is two deviations each way."
    return Figure(Intervals(alt, Axis("expected quality", low=0.0, high=1.0), rows), caption=caption)


def _interval(arm: str, quality: float, deviation: float, color: str) -> IntervalRow:
    width = _DEVIATIONS * deviation
    return IntervalRow(arm, quality, max(quality - width, 0.0), min(quality + width, 1.0), color=color)
