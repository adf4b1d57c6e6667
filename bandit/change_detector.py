"""Notices that an arm's answers have become better or worse than what was learned of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from highwayman.env.types import Floats, RewardChange

_ALLOWANCE = 0.5  # deviations that an arm may be off for long without anybody being told
_OVERSHOOT = 1.166  # of a random walk over a boundary, in deviations (Siegmund 1985)
_LARGEST = 4.0  # deviations: a single surprise counts no more
_PATIENCE = 20.0  # rounds that an arm's noise is taken for what it is for all arms
_MOST_CHANGES = 100


@dataclass(frozen=True, slots=True)
class Change:
    """An arm was found to have changed."""

    arm: str
    at: float  # seconds since the epoch, of the round that gave it away; 0: nobody said
    direction: int  # 1: answers are better than was learned, -1: worse
    rounds: float  # weight of the feedback since the change seems to have happened


class ChangeDetector:
    """Two-sided cumulative sums of each arm's surprises, in deviations.

    Page, "Continuous inspection schemes", Biometrika 1954: S = max(0, S + z - allowance) in each direction. The stretch
    since S was last 0 is the window that speaks for a change. The boundary h is where a stationary arm gives a false
    alarm once in `false_alarm_every` rounds of its own on average, by Siegmund's approximation (Sequential Analysis,
    1985, equation 2.57): in one direction (exp(2 k b) - 2 k b - 1) / (2 k^2) rounds, for allowance k and b = h + 1.166.
    Routing breaks his assumption of independent normal surprises: they are those of thumbs, around a model that is
    still learning, which is what the allowance is for.
    """

    def __init__(self, false_alarm_every: float) -> None:
        """Start with nothing noticed. Raises ValueError unless `false_alarm_every` > 10."""
        if not (math.isfinite(false_alarm_every) and false_alarm_every > 10):
            raise ValueError(f"false_alarm_every must be a number of rounds > 10, got {false_alarm_every!r}")
        self.boundary = _boundary(2.0 * false_alarm_every)
        # (K, 6): up, rounds of it, down, rounds of it; all rounds, and the sum of their squared surprises.
        self._sums: Floats = np.zeros((0, 6))
        self.changes: list[Change] = []

    def add_arm(self) -> None:
        """Watch one arm more."""
        self._sums = np.concatenate([self._sums, np.zeros((1, 6))])

    def surprised(self, row: int, surprise: float, by: RewardChange) -> Change | None:
        """Return the change that one more surprise, in deviations, gives away; None: none. Starts anew after one."""
        sums = self._sums[row]
        # The noise that surprises are measured in is common to all arms; this one's own may be another.
        surprise /= math.sqrt((_PATIENCE + sums[5]) / (_PATIENCE + sums[4]))
        surprise = min(max(surprise, -_LARGEST), _LARGEST)
        sums[4:] += 1.0, surprise**2 * (_PATIENCE + sums[5]) / (_PATIENCE + sums[4])
        for side, direction in ((0, 1), (2, -1)):
            total = sums[side] + direction * surprise - _ALLOWANCE
            sums[side] = max(total, 0.0)
            sums[side + 1] = sums[side + 1] + 1.0 if total > 0 else 0.0
            if total > self.boundary:
                found = Change(by.arm, by.at, direction, float(sums[side + 1]))
                sums[:] = 0.0
                self.changes = [*self.changes, found][-_MOST_CHANGES:]
                return found
        return None

    def state(self) -> tuple[Floats, list[list[object]]]:
        """Return the sums (K, 6), and the changes as JSON can hold them."""
        return self._sums, [[one.arm, one.at, one.direction, one.rounds] for one in self.changes]

    def restore(self, sums: Floats, changes: Sequence[Sequence[Any]]) -> None:
        """Take what `state` returned. Raises ValueError if it cannot be."""
        if sums.ndim != 2 or sums.shape[1] != 6 or (sums < 0).any():
            raise ValueError(f"sums of surprises must be (K, 6) and >= 0, got shape {sums.shape}")
        try:
            found = [Change(str(arm), float(at), int(to), float(n)) for arm, at, to, n in changes]
        except (TypeError, ValueError) as error:
            raise ValueError(f"no list of changes: {error}") from None
        self._sums, self.changes = sums.copy(), found


def _boundary(rounds: float) -> float:
    """Return the boundary that is passed once in so many rounds in one direction, by bisection."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        twice = 2 * _ALLOWANCE * (middle + _OVERSHOOT)
        low, high = (low, middle) if (math.exp(twice) - twice - 1) / (2 * _ALLOWANCE**2) > rounds else (middle, high)
    return high
