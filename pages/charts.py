"""Charts as data: what static/charts.js draws with Observable Plot, and the table that says the same in figures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Final, Literal, Protocol

from highwayman.pages.formats import FORMATS, Unit
from highwayman.pages.palette import INK

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  # heads and rows

_MOST_ROWS: Final = 200  # of a chart's table: beyond, a reader wants the numbers as a file
_MOST_POINTS: Final = 60  # of lines
_LARGE: Final = 1e6  # seconds since the epoch are: they keep ten digits, where six are more than a chart can show


class Chart(Protocol):
    """What a figure shows."""

    kind: ClassVar[str]

    @property
    def alt(self) -> str:
        """The chart in a sentence, for who does not see it."""
        ...

    def table(self) -> Table:
        """Return the same as a table."""
        ...


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands along an axis; limits that are None are the data's."""

    label: str = ""
    unit: Unit = "number"  # time: seconds since the epoch
    scale: Literal["linear", "log"] = "linear"
    low: float | None = None
    high: float | None = None

    def said(self, value: float) -> str:
        """Return a value of this axis in words."""
        return FORMATS[self.unit](value)


@dataclass(frozen=True, slots=True)
class Series:
    """A line of n points, and the interval around each, if there are any."""

    name: str
    color: str  # CSS
    x: Sequence[float]  # (n,)
    y: Sequence[float]  # (n,); NaN leaves a gap
    low: Sequence[float] = ()  # (n,) or none
    high: Sequence[float] = ()
    dashed: bool = False
    dash: str = ""  # SVG's pattern of dashes, where lines of one color have to be told apart


@dataclass(frozen=True, slots=True)
class Marker:
    """Something that happened at a place of the x axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines over time, or over anything else, with their bands."""

    kind: ClassVar[str] = "lines"
    alt: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    markers: Sequence[Marker] = ()
    height: int = 240  # pixels
    named: bool = False  # at their ends, where there is room; else by the figure's legend

    def table(self) -> Table:
        """Return a row for each point of each line, or for some of them, the last among these."""
        most = max(_MOST_POINTS // max(len(self.series), 1), 2)
        heads = ("name", self.x.label or "at", self.y.label or "value", "low", "high")
        rows = [
            (
                line.name,
                self.x.said(x),
                self.y.said(y),
                *(self.y.said(end[place]) if end else "" for end in (line.low, line.high)),
            )
            for line in self.series
            for place, (x, y) in enumerate(zip(line.x, line.y, strict=True))
            if (len(line.x) - 1 - place) % -(-len(line.x) // most) == 0
        ]
        return heads, rows


@dataclass(frozen=True, slots=True)
class Shares:
    """What parts make up of a whole, stacked, over n places of the x axis."""

    kind: ClassVar[str] = "shares"
    alt: str
    x: Axis
    at: Sequence[float]  # (n,)
    parts: Mapping[str, Sequence[float]]  # (n,) each, by name; counts or shares
    colors: Mapping[str, str]
    markers: Sequence[Marker] = ()
    height: int = 240

    def table(self) -> Table:
        """Return a row for each place, a column for each part, in percent of the whole."""
        heads = (self.x.label or "at", *self.parts)
        rows = []
        for place, at in enumerate(self.at):
            values = [part[place] for part in self.parts.values()]
            whole = sum(values) or math.nan
            rows.append((self.x.said(at), *(FORMATS["percent"](value / whole) for value in values)))
        return heads, rows[-_MOST_ROWS:]


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A value and the ends of its interval, NaN where there is none."""

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    color: str = INK
    hollow: bool = False  # nothing is shown by it
    note: str = ""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Values with their intervals, a row each, beside a reference; arrows point to what lies beyond the axis."""

    kind: ClassVar[str] = "intervals"
    alt: str
    x: Axis
    rows: Sequence[IntervalRow]
    reference: float | None = None
    reference_label: str = ""

    def table(self) -> Table:
        """Return a row for each value."""
        said = self.x.said
        rows = [(row.name, said(row.value), said(row.low), said(row.high), row.note) for row in self.rows]
        return ("name", self.x.label or "value", "low", "high", "note"), rows


@dataclass(frozen=True, slots=True)
class Point:
    """A dot with its name, or without one."""

    x: float
    y: float
    name: str = ""
    color: str = INK
    shape: Literal["circle", "diamond", "square", "cross"] = "circle"
    group: str = ""  # said when it is pointed at, beside the name
    href: str = ""
    labelled: bool = True
    faint: bool = False  # one of many that another dot is the mean of


@dataclass(frozen=True, slots=True)
class Scatter:
    """Dots by two numbers, with lines among them."""

    kind: ClassVar[str] = "scatter"
    alt: str
    x: Axis
    y: Axis
    points: Sequence[Point]
    lines: Sequence[Series] = ()
    height: int = 360
    bare: bool = False  # without axes: only nearness means anything

    def table(self) -> Table:
        """Return a row for each dot."""
        heads = ("name", self.x.label or "x", self.y.label or "y", "note")
        rows = [
            (point.name, self.x.said(point.x), self.y.said(point.y), point.group)
            for point in self.points
            if not point.faint
        ]
        return heads, rows[:_MOST_ROWS]


@dataclass(frozen=True, slots=True)
class Bar:
    """An amount."""

    name: str
    value: float
    color: str = INK
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Amounts beside one another."""

    kind: ClassVar[str] = "bars"
    alt: str
    x: Axis
    bars: Sequence[Bar]
    reference: float | None = None
    reference_label: str = ""

    def table(self) -> Table:
        """Return a row for each."""
        heads = ("name", self.x.label or "value", "note")
        return heads, [(bar.name, self.x.said(bar.value), bar.note) for bar in self.bars]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values lie between two of n + 1 edges."""

    kind: ClassVar[str] = "histogram"
    alt: str
    x: Axis
    edges: Sequence[float]  # (n + 1,), rising
    counts: Sequence[float]  # (n,)
    color: str = INK
    height: int = 160
    reference: float | None = None

    def table(self) -> Table:
        """Return a row for each bin."""
        spans = zip(self.edges[:-1], self.edges[1:], self.counts, strict=True)
        return (self.x.label or "between", "count"), [
            (f"{self.x.said(low)} to {self.x.said(high)}", f"{count:g}") for low, high, count in spans
        ]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with what stands around it."""

    chart: Chart
    caption: str = ""
    title: str = ""
    legend: Mapping[str, str] = field(default_factory=dict)  # colors by name; what the drawing names is taken out
    dashes: Mapping[str, str] = field(default_factory=dict)  # SVG's patterns, of those names that are lines with dashes

    def data(self) -> dict[str, Any]:
        """Return what charts.js reads: numbers that are none are null."""
        data: dict[str, Any] = _finite({"kind": self.chart.kind, **asdict(self.chart)})  # type: ignore[call-overload]
        return data


def _finite(value: Any) -> Any:
    """Return JSON's value for one of ours, shortened to what a chart can show."""
    if isinstance(value, float):
        return float(f"{value:.{10 if abs(value) >= _LARGE else 6}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(part) for part in value]
    return value
