"""Forgetting at a half-life: what a round still weighs by now, counted in rounds of feedback or in hours."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import chain, pairwise
from types import MappingProxyType
from typing import Any, Final, Self

from highwayman.bandit.policy import HalfLife

NEW_CLOCK: Final[Mapping[str, Any]] = MappingProxyType({"now": 0.0, "base": 0.0, "newest": 0.0, "marks": ()})

_TOLERANCE = 0.03  # half-lives that may pass before everything known is made to fade
_STEPS = 32  # marks per half-life: a late label's weight is off by 2% at most
_REMEMBERED = 30.0  # half-lives that the marks go back: what is older weighs less than 1e-9
_FORGOTTEN = 100.0  # half-lives; what is older is taken to be as old as that, so that no weight overflows
_HOUR_S = 3600.0


class Forgetting:
    """Weighs changes by 2^(-age / half-life) without touching what came before at every step.

    Weights are given relative to a base, which moves up from time to time; then all that was learned is multiplied
    once. So a round's weight does not hang on when anything else came: a late label weighs what its round itself
    would weigh by now. Counted in rounds, the age is found by time in a bounded table: all rounds decided between two
    of its marks are taken to be as old as the earlier one. A mark is only ever put after every round seen, so
    feedback on a round weighs the same whenever it comes, and a flip or a retraction is exact.
    """

    def __init__(self, *, events: float | None = None, hours: float | None = None) -> None:
        """Take the half-life in rounds of feedback or in hours. Raises ValueError: both, neither, or not > 0."""
        if (events is None) == (hours is None):
            raise ValueError(f"give half_life_events or half_life_hours, got {events!r} and {hours!r}")
        self._half_life = float(hours if events is None else events)  # type: ignore[arg-type]
        if not 0 < self._half_life < float("inf"):
            name = "half_life_events" if hours is None else "half_life_hours"
            raise ValueError(f"{name} must be a number > 0, got {self._half_life!r}")
        self._unit = "hours" if events is None else "rounds"
        self._now = self._base = 0.0  # ticks: rounds, or hours since the epoch
        self._newest = 0.0  # seconds since the epoch: when the latest round seen was decided
        self._marks: list[tuple[float, float]] = []  # (seconds since the epoch, tick), both rising

    @classmethod
    def from_half_life(cls, events: float | None, hours: float | None) -> Self | None:
        """Return the fading of these options, None without either."""
        return None if events is None and hours is None else cls(events=events, hours=hours)

    @property
    def half_life(self) -> HalfLife:
        """The half-life, as `from_half_life` takes it."""
        return (self._half_life, None) if self._unit == "rounds" else (None, self._half_life)

    def weight(self, at: float, *, new: bool) -> float:
        """Return what a round decided at `at` (seconds since the epoch; 0: now) weighs, relative to the base.

        `new` means that it is a round of its own, not a change of one that counted before.
        """
        if self._unit == "hours":
            tick = at / _HOUR_S if at else self._now
            if not self._now:
                self._base = tick
            self._now = max(self._now, tick)
        else:
            self._now += new
            tick = self._tick(at) if at else self._now
        self._base = max(self._base, self._now - _FORGOTTEN * self._half_life)
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
        """Return how many rounds had come by the mark before `at`; put a mark if it is time and nothing was later."""
        marks = self._marks
        if at > self._newest:
            self._newest = at
            if not marks or self._now - marks[-1][1] >= self._half_life / _STEPS:
                marks.append((at, self._now))
                if self._now - marks[0][1] > _REMEMBERED * self._half_life:
                    del marks[0]
        if not marks:
            return self._now
        return marks[max(bisect_right(marks, at, key=lambda mark: mark[0]) - 1, 0)][1]

    def state(self) -> dict[str, Any]:
        """Return the clock as JSON can hold it."""
        clock = {"now": self._now, "base": self._base, "newest": self._newest, "marks": self._marks}
        return {"unit": self._unit, **clock}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the clock that `state` returned; one that counts in the other unit begins anew.

        Raises:
            ValueError: it is none.
        """
        try:
            if state.get("unit", self._unit) != self._unit:
                state = NEW_CLOCK
            now, base = float(state["now"]), float(state["base"])
            marks = [(float(at), float(tick)) for at, tick in state["marks"]]
            newest = float(state.get("newest", marks[-1][0] if marks else 0.0))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no clock of a half-life: {error}") from None
        if not all(map(math.isfinite, (now, base, newest, *chain.from_iterable(marks)))):
            raise ValueError("the clock of a half-life holds a number that is not finite")
        ticks = [*(tick for _, tick in marks), now]
        rise = all(earlier < later for (earlier, _), (later, _) in pairwise(marks)) and ticks == sorted(ticks)
        if base > now or not rise:
            raise ValueError("the clock of a half-life runs backwards")
        self._now, self._base, self._newest, self._marks = now, base, newest, marks
