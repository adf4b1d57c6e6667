"""Whether what was computed from beliefs still stands: they are learned, and they fade."""

import math
from collections.abc import Callable, Iterable


class Revision:
    """A number that is another one whenever something else may be believed."""

    def __init__(self, clock: Callable[[], float], ends: Callable[[], Iterable[float]]) -> None:
        """Take a clock, in seconds, and what returns the times at which beliefs end that are held now."""
        self._clock, self._ends = clock, ends
        self._number, self._stands_until = 0, math.inf

    def number(self) -> int:
        """Return the number as of now."""
        if self._stands_until < math.inf and self._clock() >= self._stands_until:
            self.advance()
        return self._number

    def advance(self) -> None:
        """Note that something else is believed."""
        self._number += 1
        now = self._clock()
        # One that ends this very moment may be held to its end or no longer: it is looked at again.
        self._stands_until = min((end for end in self._ends() if now <= end), default=math.inf)
