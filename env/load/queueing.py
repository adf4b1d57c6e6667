"""What the load of an arm adds to the time its calls take. Pure arithmetic."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from highwayman.env.quick_dataclass import quick_dataclass

_KEPT = 0.98  # weight of the past, per call: about the last fifty count
_LEAST_CALLS = 8.0  # of which a slope must be seen
_FAR = 3.0  # standard deviations beyond the mean
_PRIOR_SQUARES = 4.0  # squared deviations of the calls under way that the slope is doubted by: it starts at none


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a server has to do now, and how that differs from what it usually does."""

    waiting: float  # requests that are not being worked on yet
    running: float  # requests it works on side by side
    late_s: float = 0.0  # by which answers began later of late than they usually do; below 0: earlier

    def delay_s(self, usual_s: float) -> float:
        """Return the seconds that one more request takes beyond the `usual_s` of a whole call.

        Where requests wait, as many as run are all it works on side by side, and each `usual_s` frees that many places
        (Little 1961: those in a system are its throughput times the time each spends there). A wait that is over shows
        in the first tokens, one that has only begun in the queue; the longer of both counts.
        """
        if not self.waiting:
            return self.late_s
        return max((self.waiting + 1.0) / max(self.running, 1.0) * usual_s, self.late_s)


def shortest_queue(states: Iterable[QueueState]) -> QueueState | None:
    """Return the state of the server that a call would go to, None if nothing is known of any."""
    return min(states, key=lambda state: (state.waiting, state.running), default=None)


@quick_dataclass(frozen=True, slots=True)
class LatencyLine:
    """Fading sums of calls under way x, when one more was sent, and the seconds y that it took.

    What is known of an arm whose servers say nothing of their load: least squares with a ridge on the slope (Hoerl and
    Kennard 1970). Servers that share themselves out take longer in proportion to those they serve; a queue bends the
    line, and answers differ in length, so it is a rough one.
    """

    calls: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def plus(self, under_way: float, seconds: float) -> "LatencyLine":
        """Return the sums with one more call, sent while `under_way` others were, that took so many seconds."""
        return LatencyLine(
            self.calls * _KEPT + 1.0,
            self.x * _KEPT + under_way,
            self.y * _KEPT + seconds,
            self.xx * _KEPT + under_way * under_way,
            self.xy * _KEPT + under_way * seconds,
        )

    def queue(self, under_way: float) -> QueueState | None:
        """Return how much later than on average answers come while `under_way` others are, None where nobody knows.

        Nobody does before a few calls, nor for far more calls under way than were met so far.
        """
        if self.calls < _LEAST_CALLS:
            return None
        mean_x, mean_y = self.x / self.calls, self.y / self.calls
        spread = max(self.xx - self.calls * mean_x * mean_x, 0.0)
        if under_way - mean_x > _FAR * math.sqrt(spread / self.calls + 1.0):
            return None
        slope = max(self.xy - self.calls * mean_x * mean_y, 0.0) / (spread + _PRIOR_SQUARES)
        return QueueState(0.0, under_way, slope * (under_way - mean_x))
