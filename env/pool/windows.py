"""What is believed of context windows: as the pool file says, unless a server said otherwise lately."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from highwayman.env.revision import Revision
from highwayman.env.types import Arm

_FIRST_S: Final = 600.0  # for which a server's words are believed; twice as long each time it says so again afterwards
_LONGEST_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class _Correction:
    window_tokens: int
    is_guess: bool  # the server named no number
    until: float
    lasts_s: float


class WindowBeliefs:
    """Corrections of the arms' windows, which fade: a server may be started anew, and a guess may be wrong."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a clock, monotonic seconds."""
        self._clock = clock
        self._corrections: dict[str, _Correction] = {}  # by arm; faded ones stay, for how long they lasted
        self._answered: dict[str, int] = {}  # by arm: the tokens of the largest request it has answered
        self.revision = Revision(clock, lambda: (correction.until for correction in self._corrections.values()))

    def window_tokens(self, arm: Arm) -> int:
        """Return the window that is believed, never more than the pool file says."""
        correction = self._current(arm)
        if correction is None:
            return arm.context_window_tokens
        least = self._answered.get(arm.name, 0) if correction.is_guess else 0
        return min(max(correction.window_tokens, least), arm.context_window_tokens)

    def on_answered(self, arm: Arm, needed_tokens: int) -> None:
        """Note that an arm has answered a request of so many tokens: no guess goes below."""
        if needed_tokens > self._answered.get(arm.name, 0):
            self._answered[arm.name] = needed_tokens
            if arm.name in self._corrections:
                self.revision.advance()

    def on_refused(self, arm: Arm, told_tokens: int | None, needed_tokens: int) -> None:
        """Believe a server that a request is too long for it.

        Args:
            arm: whose server it is.
            told_tokens: its window, as it says; None if it does not.
            needed_tokens: of the request, about, with its answer.
        """
        believed = self.window_tokens(arm)
        window = needed_tokens - 1 if told_tokens is None else told_tokens
        if 0 < window <= believed and window < arm.context_window_tokens:
            lasts_s = self._lasts_s(arm)
            self._corrections[arm.name] = _Correction(window, told_tokens is None, self._clock() + lasts_s, lasts_s)
            self.revision.advance()

    def _current(self, arm: Arm) -> _Correction | None:
        correction = self._corrections.get(arm.name)
        return correction if correction is not None and self._clock() < correction.until else None

    def _lasts_s(self, arm: Arm) -> float:
        before = self._corrections.get(arm.name)
        if before is None:
            return _FIRST_S
        return before.lasts_s if self._current(arm) is not None else min(2 * before.lasts_s, _LONGEST_S)
