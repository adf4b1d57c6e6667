"""What a plot has to show, where showing everything would leave nothing to see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from highwayman.sims.plots.labels import Label
from highwayman.sims.sweeps.results import Case
from highwayman.sims.sweeps.standings import standings

_FAR: Final = 1.0  # what is further away from the rest than this share of their range is off the plot
_AT_LEAST: Final = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Window:
    """The values that a plot has room for."""

    low: float
    high: float

    def label_with_value(self, label: Label, form: str) -> Label:
        """Return the label, with the value and an arrow to it where it lies off the plot."""
        arrow = self.beyond(label.y)
        return replace(label, note=f" {label.y:{form}} {arrow}".replace("-", "\u2212")) if arrow else label

    def beyond(self, value: float) -> str:
        """Return an arrow to where the value lies off the plot; nothing where it is on it."""
        return "\u2191" if value > self.high else "\u2193" if value < self.low else ""


def best_first(case: Case) -> tuple[str, ...]:
    """Return the policies by falling mean value."""
    return tuple(standing.name for standing in standings(case))


def foremost(ranked: Sequence[_T]) -> Sequence[_T]:
    """Return those that a plot is about, of policies that stand best first: half of them, and at least three."""
    return ranked[: max(_AT_LEAST, -(-len(ranked) // 2))]


def focused(core: Sequence[float], others: Iterable[float] = ()) -> Window:
    """Return the range of the `core`, and of those others that are not so far away that they would squeeze it."""
    low, high = min(core), max(core)
    reach = _FAR * (high - low)
    near = [value for value in others if low - reach <= value <= high + reach]
    return Window(min([low, *near]), max([high, *near]))
