"""What the latest decisions say of a challenger, kept until their rewards come, or are revised."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

_NOTHING = np.uint64(0)


@dataclass(frozen=True, slots=True)
class RoundContrast:
    """One decision's line in the reward, for either end, and how much is bet on it."""

    lower: float
    upper: float
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

    def add(self, decision_id: str, contrast: RoundContrast) -> None:
        """Keep a decision's; the oldest goes."""
        self._add(_name(decision_id), contrast)

    def _add(self, name: int, contrast: RoundContrast) -> None:
        row, size = self._next, len(self._names)
        if self._names[row] != _NOTHING:
            self._rows.pop(int(self._names[row]), None)
        self._names[row], self._levels[row] = name, contrast.level
        self._lines[row] = contrast.lower, contrast.upper, contrast.slope
        self._rows[name], self._next = row, (row + 1) % size

    def get(self, decision_id: str) -> RoundContrast | None:
        """Return a decision's; None: it was not scored, or is kept no more."""
        row = self._rows.get(_name(decision_id))
        if row is None:
            return None
        lower, upper, slope = self._lines[row].tolist()
        return RoundContrast(lower, upper, slope, int(self._levels[row]))

    def state(self) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return all of them as arrays, oldest first."""
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


def _name(decision_id: str) -> int:
    """Return 63 bits of a digest that are never 0."""
    return int.from_bytes(blake2b(decision_id.encode(), digest_size=8).digest(), "big") >> 1 | 1
