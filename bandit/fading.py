"""Forgetting at a half-life: what a round still weighs by now, counted in rounds of feedback or in hours."""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, Self

NEW_CLOCK: Final[Mapping[str, Any]] = MappingProxyType({"now": 0.0, "base": 0.0, "marks": ()})

_TOLERANCE = 0.03  # half-lives that may pass before everything known is made to fade
_MOST_MARKS = 256
_HOUR_S = 3600.0


class Fading:
    """Weighs changes by 2^(-age / half-life) without touching what came before at every step.

    Weights are given relative to a base, which moves up from time to time; then all that was learned is multiplied
    once. So a round's weight does not hang on when anything else came: a late label weighs what its round itself
    would weigh by now. Counted in rounds, the age of a late label is found by time in a bounded table, between two of
    whose entries rounds are taken to have come evenly.
    """

    def __init__(self, *, events: float | None = None, hours: float | None = None) -> None:
        """Take the half-life in rounds of feedback or in hours. Raises ValueError: both, neither, or not > 0."""
        if (events is None) == (hours is None):
            raise ValueError(f"give half_life_events or half_life_hours, got {events!r} and {hours!r}")
        self._half_life = float(hours if events is None else events)  # type: ignore[arg-type]
        if not 0 < self._half_life < float("inf"):
            name = "half_life_events" if hours is None else "half_life_hours"
            raise ValueError(f"{name} must be a number > 0, got {self._half_life!r}")
        self._by_time = events is None
        self._now = self._base = 0.0  # ticks: rounds, or hours since the epoch
        self._marks: list[tuple[float, float]] = []  # (seconds since the epoch, tick), both rising

    @classmethod
    def of(cls, events: float | None, hours: float | None) -> Self | None:
        """Return the fading of these options, None without either."""
        return None if events is None and hours is None else cls(events=events, hours=hours)

    def weight(self, at: float, *, new: bool) -> float:
        """Return what a round decided at `at` (seconds since the epoch; 0: now) weighs, relative to the base.

        `new` says that it is a round of its own, not a change of one that counted before.
        """
        if self._by_time:
            tick = at / _HOUR_S if at else self._now
            if not self._now:
                self._base = tick
            self._now = max(self._now, tick)
        else:
            self._now += new
            tick = self._tick(at) if at else self._now
        return float(2.0 ** ((tick - self._base) / self._half_life))

    def due(self) -> bool:
        """Return whether enough time has passed for what is known to be made to fade."""
        return self._now - self._base > _TOLERANCE * self._half_life

    def rebase(self) -> float:
        """Move the base up to now; return the factor by which everything learned so far is to be multiplied."""
        factor = float(2.0 ** (-(self._now - self._base) / self._half_life))
        self._base = self._now
        return factor

    def _tick(self, at: float) -> float:
        """Return how many rounds had come by `at`, and remember it if that is the newest time heard of."""
        marks = self._marks
        if not marks or at > marks[-1][0]:
            marks.append((at, self._now))
            if len(marks) > _MOST_MARKS:
                del marks[1:-1:2]
            return self._now
        place = bisect_right(marks, at, key=lambda mark: mark[0])
        if place == 0:
            return marks[0][1]
        if place == len(marks):
            return marks[-1][1]
        (start, first), (end, last) = marks[place - 1], marks[place]
        return first + (last - first) * (at - start) / (end - start)

    def state(self) -> dict[str, Any]:
        """Return the clock as JSON can hold it."""
        return {"now": self._now, "base": self._base, "marks": self._marks}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the clock that `state` returned. Raises ValueError if it is none."""
        try:
            now, base = float(state["now"]), float(state["base"])
            marks = [(float(at), float(tick)) for at, tick in state["marks"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no clock of a half-life: {error}") from None
        if not (base <= now and all(one < other for (one, _), (other, _) in pairwise(marks))):
            raise ValueError("the clock of a half-life runs backwards")
        self._now, self._base, self._marks = now, base, marks
