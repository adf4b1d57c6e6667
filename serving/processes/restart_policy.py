"""When a process that died starts again, and when it is given up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MOST_DOUBLINGS = 60  # more would only overflow


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """After how long a process that died starts again: longer each time, and not forever."""

    first_s: float = 1.0
    longest_s: float = 60.0
    limit: float = 5  # deaths within the window; one more and it stays down
    window_s: float = 900.0
    forgives: bool = False  # whether its deaths are forgotten once it answers again

    def delay_s(self, deaths: Sequence[float], now: float) -> float | None:
        """Return the seconds to wait after the last of `deaths` (clock times), or None to give up."""
        recent = sum(now - death <= self.window_s for death in deaths)
        if recent > self.limit:
            return None
        doublings = min(max(0, recent - 1), _MOST_DOUBLINGS)
        return float(min(self.longest_s, self.first_s * 2.0**doublings))


KEEP_TRYING = RestartPolicy(first_s=0.2, longest_s=10.0, limit=math.inf, window_s=math.inf, forgives=True)
