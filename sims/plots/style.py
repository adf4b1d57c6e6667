"""How every plot looks: quiet axes, bold titles at the left, names beside what they name instead of legends."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from highwayman.env.errors import ConfigError
from highwayman.sims.plots.palette import AXIS, DASHES, GRID, INK, POLICY_COLORS, QUIET, variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN: Final = 11.0
FONT_PT: Final = 9.5
LETTER_IN: Final = 0.088  # of a bold letter, generously
TITLE_LETTER_IN: Final = 0.1  # of a title's
LONGEST: Final = 24  # letters of a name in a plot
_MODULE = re.compile(r"^(?:\w+\.)+\w+:(?=\w)")  # of a policy that is named by its import path

_RC: Final[Mapping[str, Any]] = {
    "font.size": FONT_PT,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a $
    "axes.labelcolor": QUIET,
    "axes.edgecolor": INK,
    "axes.unicode_minus": True,
    "svg.hashsalt": "highwayman",
    "svg.fonttype": "none",  # text stays text: small, sharp, and found by a search
    "path.simplify": False,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot: its SVG without a prolog, what it shows in words and numbers, and how to read it."""

    name: str
    svg: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Look:
    """The color and the dash pattern of each policy, the same in all plots of a report."""

    names: tuple[str, ...]

    def color(self, name: str) -> str:
        """Return the policy's color."""
        return POLICY_COLORS[self.names.index(name) % len(POLICY_COLORS)]

    def variable(self, name: str) -> str:
        """Return the color as CSS, which knows what it is on dark paper."""
        return variable(self.color(name))

    def dash(self, name: str) -> Any:
        """Return the policy's line style."""
        return DASHES[self.names.index(name) // len(POLICY_COLORS) % len(DASHES)]


@contextmanager
def house_style() -> Iterator[None]:
    """Let matplotlib draw as it does in this project, whatever its configuration says. Raises ConfigError."""
    try:
        mpl = import_module("matplotlib")
    except ImportError as error:
        raise ConfigError(f"plots are drawn with matplotlib: pip install 'highwayman[sims]' ({error})") from None
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def sheet(height_in: float, width_in: float = WIDTH_IN) -> "Figure":
    """Return an empty figure."""
    figure: Figure = import_module("matplotlib.figure").Figure(figsize=(width_in, height_in), facecolor="none")
    return figure


def panel(figure: "Figure", left: float, top: float, *, width: float, height: float) -> "Axes":
    """Return axes at a place measured in inches from the figure's upper left corner, with only their lower line."""
    wide, high = figure.get_size_inches()
    axes: Axes = figure.add_axes(
        (left / wide, (high - top - height) / high, width / wide, height / high), facecolor="none"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(AXIS)
    axes.tick_params(length=0, colors=QUIET)
    return axes


def title(axes: "Axes", text: str, *, color: str = INK) -> None:
    """Write what the axes show above their left end."""
    axes.set_title(text, loc="left", fontweight="bold", color=color, fontsize=FONT_PT + 1)


def heading(figure: "Figure", text: str) -> None:
    """Write what a figure of several panels shows, above all of them."""
    figure.text(
        0.08 / WIDTH_IN, 1 - 0.2 / figure.get_figheight(), text, fontweight="bold", fontsize=FONT_PT + 1, va="center"
    )


def gridlines(axes: "Axes", axis: Any = "y") -> None:
    """Draw faint lines at the ticks, behind everything."""
    axes.grid(axis=axis, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def round_ticks(axes: "Axes", last: float) -> None:
    """Mark rounds from 0 to the last."""
    axes.set_xlim(0, last)
    axes.set_xticks(steps(0.0, last, most=5 if axes.get_position().width > 0.3 else 3))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def steps(low: float, high: float, *, most: int) -> list[float]:
    """Return at most `most` + 1 round numbers, equally far apart, from `low` to `high`."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def log_steps(low: float, high: float) -> list[float]:
    """Return round numbers from `low` to `high`, both above 0: powers of ten, and more between if these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 4:
            return ticks
    return ticks


def short(name: str, longest: int = LONGEST) -> str:
    """Return the name on one line, without its module, then without its middle, where there is no room.

    Names often differ at the end.
    """
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(name.split()))
    if len(line) > longest:
        line = _MODULE.sub("", line)
    if len(line) <= longest:
        return line
    tail = (longest - 1) // 3
    return f"{line[: longest - 1 - tail]}…{line[len(line) - tail :]}"


def room(names: Sequence[str]) -> float:
    """Return the inches that the longest of the names needs, as `short` cuts them."""
    return LETTER_IN * max((len(short(name)) for name in names), default=0) + 0.2


def columns(panels: int) -> int:
    """Return how many small plots stand in a row: all in one up to four, else as leaves few places empty."""
    return panels if panels <= 4 else min((4, 3), key=lambda across: (-panels % across, -across))


def tick_usd(value: float, _: object = None) -> str:
    """Return dollars as a tick names them, such as $0.002, $0.10 or $1,000.00."""
    return f"${value:,.2f}" if value >= 0.1 else f"${value:g}"


def tick_sign(value: float, _: object = None) -> str:
    """Return a number with its sign, and 0 without, as a tick names them."""
    return f"{value:+,g}".replace("-", "−") if abs(value) > 1e-12 else "0"


def usd(value: float) -> str:
    """Return dollars with three significant digits, such as $1.23 or $0.000456."""
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "$0"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"${value:,.{min(max(digits, 2), 9)}f}"
