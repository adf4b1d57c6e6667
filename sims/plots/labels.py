"""Where to write names: at the ends of lines, and beside points, without one on top of another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.plots.style import FONT_PT, LETTER_IN, LONGEST, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE_PT = FONT_PT * 1.28
_REACHES_IN = (0.0, 0.2, 0.4, 0.6)  # farther away, a name hangs on a thin line
_AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))


@dataclass(frozen=True, slots=True)
class Label:
    """A name to be written at a point of a plot."""

    x: float
    y: float
    text: str
    color: str
    bold: bool = True
    note: str = ""  # behind the name

    @property
    def line(self) -> str:
        """Return what is written: the name as short as it has to be, and the note."""
        return f"{short(self.text, LONGEST - len(self.note))}{self.note}"


def spread(targets: Floats, gap: float) -> Floats:
    """Return places as near to the `targets` (n,) as can be (least squares), in the same order, at least `gap` apart.

    Less i times the gap, the i-th place must not be below the one before it: an isotonic regression, solved by pooling
    neighbours that are out of order (Barlow et al. 1972).
    """
    order = np.argsort(targets, kind="stable")
    pools: list[tuple[float, int]] = []  # mean, size
    for rank, index in enumerate(order):
        mean, size = float(targets[index]) - rank * gap, 1
        while pools and pools[-1][0] > mean:
            previous, count = pools.pop()
            mean, size = (previous * count + mean * size) / (count + size), count + size
        pools.append((mean, size))
    placed = np.empty(len(targets))
    placed[order] = np.repeat([mean for mean, _ in pools], [size for _, size in pools]) + gap * np.arange(len(targets))
    return placed


def label_ends(axes: "Axes", labels: Sequence[Label]) -> None:
    """Write names to the right of axes with linear scales whose limits are set, each as near to its line as can be."""
    if not labels:
        return
    low, high = axes.get_ylim()
    points = axes.get_window_extent().height / axes.figure.dpi * 72.0
    gap = _LINE_PT * (high - low) / points
    ends = np.clip([label.y for label in labels], low, high)
    places = spread(ends, gap)
    places += min(0.0, high + gap / 2 - places.max())
    right = axes.get_xlim()[1]
    width = axes.get_xlim()[1] - axes.get_xlim()[0]
    inch = width / (axes.get_window_extent().width / axes.figure.dpi)
    for label, end, place in zip(labels, ends, places, strict=True):
        line = [label.x, right + 0.04 * inch, right + 0.14 * inch], [end, end, place]
        axes.plot(*line, color=label.color, linewidth=0.7, clip_on=False, alpha=0.7)
        weight = "bold" if label.bold else "normal"
        at = (right + 0.18 * inch, place)
        axes.text(*at, label.line, color=label.color, fontweight=weight, va="center_baseline", clip_on=False)


def label_points(axes: "Axes", labels: Sequence[Label], *, avoid: Sequence[tuple[Floats, Floats]] = ()) -> None:
    """Write names beside their points, on the side where they hide least of other names, of points and of lines.

    Args:
        axes: whose limits are set.
        labels: the names; those that come first get the better places.
        avoid: lines, each as (m,) x and (m,) y.
    """
    dpi = axes.figure.dpi
    spots = [axes.transData.transform((label.x, label.y)) / dpi for label in labels]  # inches
    frame = axes.get_window_extent()
    edges = np.array([[frame.x0, frame.y0], [frame.x1, frame.y1]]) / dpi
    taken = [np.array([spot - 0.05, spot + 0.05]) for spot in spots]
    taken += [np.array([spot - 0.03, spot + 0.03]) for x, y in avoid for spot in _along(axes, x, y)]
    for label, spot in zip(labels, spots, strict=True):
        box, reach = _freest(spot, short(label.text), np.array(taken), edges)
        taken.append(box)
        middle, near = axes.transData.inverted().transform([box.mean(axis=0) * dpi, np.clip(spot, *box) * dpi])
        if reach:
            axes.plot([label.x, near[0]], [label.y, near[1]], color=label.color, linewidth=0.7, alpha=0.7)
        weight = "bold" if label.bold else "normal"
        x, y = float(middle[0]), float(middle[1])
        axes.text(x, y, short(label.text), color=label.color, fontweight=weight, ha="center", va="center_baseline")


def _freest(spot: Floats, text: str, taken: Floats, edges: Floats) -> tuple[Floats, float]:
    """Return the box beside the spot that covers least of what is `taken` (m, 2, 2), and how far away it is."""
    sides = [(_box(spot, text, side, reach), reach) for reach in _REACHES_IN for side in _AROUND]
    costs = [_overlap(box, taken) + 4 * _outside(box, edges) + 0.02 * reach for box, reach in sides]
    return sides[int(np.argmin(np.round(costs, 4)))]


def _along(axes: "Axes", x: Floats, y: Floats) -> Floats:
    """Return points every 0.08 inches or less of a line, (p, 2), in inches."""
    corners = axes.transData.transform(np.column_stack([x, y])) / axes.figure.dpi
    if len(corners) < 2:
        return np.asarray(corners, dtype=np.float64)
    at = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    points = np.linspace(0.0, at[-1], int(at[-1] / 0.08) + 2)
    return np.column_stack([np.interp(points, at, corners[:, side]) for side in (0, 1)])


def _box(spot: Floats, text: str, side: tuple[int, int], reach: float) -> Floats:
    """Return the corners of the text's box beside the spot, (2, 2), in inches."""
    size = np.array([LETTER_IN * len(text), 0.15])
    middle = spot + np.array(side) * (size / 2 + (0.09 if 0 in side else 0.04) + reach)
    return np.array([middle - size / 2, middle + size / 2])


def _overlap(box: Floats, others: Floats) -> float:
    """Return the area that the box shares with the others, (m, 2, 2), each counted."""
    sides = np.minimum(box[1], others[:, 1]) - np.maximum(box[0], others[:, 0])
    return float(np.maximum(sides, 0.0).prod(axis=1).sum())


def _outside(box: Floats, edges: Floats) -> float:
    return float(np.prod(box[1] - box[0])) - _overlap(box, edges[None])
