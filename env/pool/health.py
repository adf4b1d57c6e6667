"""Which endpoints answer, learned from the calls themselves."""

import math
from collections.abc import Callable

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_MOST_DOUBLINGS = 10  # far beyond the longest pause; without an end, 2.0**1024 would overflow after a long outage


class EndpointHealth:
    """Rests an endpoint after a failure, twice as long after each further one; one success clears it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take the clock, in seconds from any origin."""
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._resting_until: dict[str, float] = {}

    def is_up(self, endpoint: str) -> bool:
        """Return whether calls may go to `endpoint`; after its rest it is up again until it fails again."""
        return self._clock() >= self._resting_until.get(endpoint, -math.inf)

    def on_failure(self, endpoint: str, rest_s: float | None = None) -> None:
        """Rest `endpoint` for a while, `rest_s` seconds if it asked for them.

        Calls that fail while it rests were under way before and say nothing new.
        """
        if rest_s is not None:
            self._resting_until[endpoint] = max(self._clock() + rest_s, self._resting_until.get(endpoint, -math.inf))
            return
        if not self.is_up(endpoint):
            return
        count = self._failures.get(endpoint, 0)
        self._failures[endpoint] = count + 1
        pause = min(_FIRST_PAUSE_S * 2 ** min(count, _MOST_DOUBLINGS), _LONGEST_PAUSE_S)
        self._resting_until[endpoint] = self._clock() + pause

    def on_success(self, endpoint: str) -> None:
        """Forget the failures of `endpoint`."""
        self._failures.pop(endpoint, None)
        self._resting_until.pop(endpoint, None)
