"""What a chart has to show, where showing everything would leave nothing to see."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from highwayman.sims.sweeps.results import Case
from highwayman.sims.sweeps.standings import standings

_FAR: Final = 1.0  # what is further away from the rest than this share of their range is off the chart
_AT_LEAST: Final = 3
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Window:
    """The values that a chart has room for."""

    low: float
    high: float

    def widened(self, share: float = 0.06) -> "Window":
        """Return a window with some room around these."""
        margin = share * (self.high - self.low) or 0.05
        return Window(self.low - margin, self.high + margin)

    def with_bands(self, bands: Mapping[str, tuple[float, float]]) -> tuple["Window", frozenset[str]]:
        """Return a window that holds bands, (lowest, highest) each, and which of them: none is drawn in part.

        What is wider than the rest of the chart leaves nothing else to see, so it is left out.
        """
        reach = _FAR * (self.high - self.low)
        held = {
            name: ends for name, ends in bands.items() if self.low - reach <= ends[0] and ends[1] <= self.high + reach
        }
        low, high = (
            min([self.low, *(low for low, _ in held.values())]),
            max([self.high, *(high for _, high in held.values())]),
        )
        return Window(low, high), frozenset(held)

    def beyond(self, value: float) -> str:
        """Return an arrow to where the value lies off the chart; nothing where it is on it."""
        return "\u2191" if value > self.high else "\u2193" if value < self.low else ""

    def left_out(self, values: Mapping[str, float], form: str) -> str:
        """Return in a sentence what lies off the chart, each with its value and an arrow to it; nothing without any."""
        told = [f"{name} {value:{form}} {self.beyond(value)}" for name, value in values.items() if self.beyond(value)]
        return f" Off the chart: {', '.join(told)}.".replace(" -", " \u2212") if told else ""


def best_first(case: Case) -> tuple[str, ...]:
    """Return the policies by falling mean value."""
    return tuple(standing.name for standing in standings(case))


def foremost(ranked: Sequence[_T]) -> Sequence[_T]:
    """Return those that a chart is about, of policies that stand best first: half of them, and at least three."""
    return ranked[: max(_AT_LEAST, -(-len(ranked) // 2))]


def focused(core: Sequence[float], others: Iterable[float] = ()) -> Window:
    """Return the range of the `core`, and of those others that are not so far away that they would squeeze it."""
    low, high = min(core), max(core)
    reach = _FAR * (high - low)
    near = [value for value in others if low - reach <= value <= high + reach]
    return Window(min([low, *near]), max([high, *near]))
