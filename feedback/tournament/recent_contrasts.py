"""What the latest decisions say of a challenger, kept until their rewards come, or are revised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.tournament.contrast import contrast, contrast_ends

_NOTHING = np.uint64(0)
_TOGETHER = 512  # rounds whose lines are computed at once


@dataclass(frozen=True, slots=True)
class RoundContrast:
    """One decision's line in the reward, for either end, and how much is bet on it."""

    lower: float
    upper: float
    slope: float
    level: int


class OpenRound(NamedTuple):
    """A decision whose line is computed when somebody asks for it; arrays are (K,)."""

    challenger: Floats
    logged: Floats
    action: int
    scale: float  # as in `Divergence`
    quality: Floats
    penalties: Floats
    slope: float
    level: int


class RecentContrasts:
    """Of the last decisions, a ring: memory does not grow, and what counts is a function of the log alone."""

    def __init__(self, size: int) -> None:
        """Take how many decisions are kept. Raises ValueError unless it is > 0."""
        if size < 1:
            raise ValueError(f"window must be >= 1 decision, got {size!r}")
        self._names = np.zeros(size, dtype=np.uint64)
        self._lines = np.zeros((size, 3), dtype=np.float32)
        self._levels = np.zeros(size, dtype=np.uint8)
        self._next = 0
        self._rows: dict[int, int] = {}
        self._open: dict[str, OpenRound] = {}  # the newest, by decision: not in the ring yet

    def add(self, decision_id: str, contrast: RoundContrast) -> None:
        """Keep a decision's; the oldest goes."""
        self._settle()
        self._add(_name(decision_id), contrast)

    def add_open(self, decision_id: str, round_: OpenRound) -> None:
        """Keep a decision's, its line to be computed; the oldest goes."""
        same_size = not self._open or len(next(iter(self._open.values())).logged) == len(round_.logged)
        if not same_size or decision_id in self._open or len(self._open) >= min(_TOGETHER, len(self._names)):
            self._settle()
        self._open[decision_id] = round_

    def _add(self, name: int, contrast: RoundContrast) -> None:
        row, size = self._next, len(self._names)
        if self._names[row] != _NOTHING:
            self._rows.pop(int(self._names[row]), None)
        self._names[row], self._levels[row] = name, contrast.level
        self._lines[row] = contrast.lower, contrast.upper, contrast.slope
        self._rows[name], self._next = row, (row + 1) % size

    def _settle(self) -> None:
        """Put the newest into the ring."""
        if not self._open:
            return
        names, rounds = list(map(_name, self._open)), list(self._open.values())
        challenger, logged, actions, scales, quality, penalties, slopes, levels = zip(*rounds, strict=True)
        ends = contrast_ends(
            _rows(challenger),
            _rows(logged),
            np.array(actions),
            scales=np.array(scales),
            quality=_rows(quality),
            penalties=_rows(penalties),
        )
        rows = (self._next + np.arange(len(rounds))) % len(self._names)
        for name in self._names[rows].tolist():
            self._rows.pop(name, None)
        self._names[rows], self._levels[rows] = names, levels
        self._lines[rows] = np.stack([*ends, slopes], axis=1)
        self._rows.update(zip(names, rows.tolist(), strict=True))
        self._next = (self._next + len(rounds)) % len(self._names)
        self._open.clear()

    def get(self, decision_id: str) -> RoundContrast | None:
        """Return a decision's; None: it was not scored, or is kept no more."""
        newest = self._open.get(decision_id)
        if newest is not None:
            return _line_of(newest)
        row = self._row(decision_id)
        if row is None:
            return None
        lower, upper, slope = self._lines[row].tolist()
        return RoundContrast(lower, upper, slope, int(self._levels[row]))

    def slope_and_level(self, decision_id: str) -> tuple[float, int] | None:
        """Return these two of what `get` does."""
        newest = self._open.get(decision_id)
        if newest is not None:
            return float(np.float32(newest.slope)), newest.level
        row = self._row(decision_id)
        return None if row is None else (float(self._lines[row, 2]), int(self._levels[row]))

    def _row(self, decision_id: str) -> int | None:
        row = self._rows.get(_name(decision_id))
        # The newest have its place, though they are not there yet.
        return None if row is None or (row - self._next) % len(self._names) < len(self._open) else row

    def state(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return all of them as arrays, oldest first."""
        self._settle()
        order = np.concatenate([np.arange(self._next, len(self._names)), np.arange(self._next)])
        order = order[self._names[order] != _NOTHING]
        return {"names": self._names[order], "lines": self._lines[order], "levels": self._levels[order]}

    def restore(self, arrays: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
        """Take what `state` returned, the newest that fit. Raises LookupError, ValueError for other arrays."""
        kept = RecentContrasts(len(self._names))
        rows = zip(arrays["names"].tolist(), arrays["lines"].tolist(), arrays["levels"].tolist(), strict=True)
        for name, (lower, upper, slope), level in rows:
            kept._add(name, RoundContrast(lower, upper, slope, level))
        self.__dict__.update(kept.__dict__)


def _rows(arrays: Sequence[Floats]) -> Floats:
    """Return n arrays (K,) as one, (n, K)."""
    return np.concatenate(arrays).reshape(len(arrays), -1)  # `np.stack` takes ten times as long


def _line_of(round_: OpenRound) -> RoundContrast:
    """Return an open round's line as the ring would have it, in single precision."""
    line = contrast(
        round_.challenger.tolist(),
        round_.logged.tolist(),
        round_.action,
        quality=round_.quality.tolist(),
        penalties=round_.penalties.tolist(),
    )
    lower, upper, slope = np.array([line.lower, line.upper, line.slope], np.float32).tolist()
    return RoundContrast(lower, upper, slope, round_.level)


def _name(decision_id: str) -> int:
    """Return 63 bits of a digest that are never 0."""
    return int.from_bytes(blake2b(decision_id.encode(), digest_size=8).digest(), "big") >> 1 | 1
