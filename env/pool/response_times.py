"""How long servers take to answer, and from when on one of them is taken for silent."""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

_KEPT = 32  # answers
_ENOUGH = 10
_HIGH = 0.95  # the quantile that stands for a slow answer
_PATIENCE = 3.0  # times a slow answer
_LEAST_S = 2.0  # a process that stands still for a second, the router's own too, is no silent server


@dataclass(slots=True)
class _Sample:
    """The last few values of something, as a quantile of them is wanted."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    is_settled: bool = False  # whether none has come since these two were told
    _median: float | None = None
    _high: float | None = None

    def add(self, value: float) -> None:
        self.values.append(value)
        self.is_settled = False

    @property
    def median(self) -> float | None:
        """The value that half of those kept do not exceed, None as long as there are too few."""
        if not self.is_settled:
            self._settle()
        return self._median

    @property
    def high(self) -> float | None:
        """The one that stands for a slow answer, None likewise."""
        if not self.is_settled:
            self._settle()
        return self._high

    def _settle(self) -> None:
        self.is_settled, count = True, len(self.values)
        if count >= _ENOUGH:
            ordered = sorted(self.values)
            self._median, self._high = ordered[math.ceil(0.5 * count) - 1], ordered[math.ceil(_HIGH * count) - 1]


@dataclass(slots=True)
class _Times:
    """Of one model at one endpoint."""

    first_s: _Sample = field(default_factory=_Sample)  # to the first meaningful event of a stream
    request_bytes: _Sample = field(default_factory=_Sample)  # of the same requests
    whole_s: _Sample = field(default_factory=_Sample)  # to the end of a whole answer
    token_s: _Sample = field(default_factory=_Sample)  # the same, for each token written
    load: _Sample = field(default_factory=_Sample)  # calls that waited there when one was sent, itself included


class ResponseTimes:
    """The last answers of each model at each endpoint: what is usual there, and what is not any more.

    A limit is three times what 19 of 20 answers kept to. Answers that were given up are not among them (nobody knows
    how long they would have taken), so a server that has become slow is given up until calls that nobody waits for
    have shown what is usual there now.
    """

    def __init__(self, least_s: float = _LEAST_S) -> None:
        """Take the shortest limit, in seconds."""
        self._least_s = least_s
        self._times = defaultdict[tuple[str, str], _Times](_Times)  # by endpoint and model

    def on_begun(self, endpoint: str, model: str, *, seconds: float, request_bytes: int, waiting: int) -> None:
        """Note when a stream had its first meaningful event, and how many calls waited beside it, itself included."""
        times = self._times[endpoint, model]
        times.first_s.add(seconds)
        times.request_bytes.add(request_bytes)
        times.load.add(waiting)

    def on_whole(self, endpoint: str, model: str, *, seconds: float, tokens: int | None, waiting: int) -> None:
        """Note when a whole answer had come, and how many tokens it has, if that is known."""
        times = self._times[endpoint, model]
        times.whole_s.add(seconds)
        times.load.add(waiting)
        if tokens:
            times.token_s.add(seconds / tokens)

    def usual_s(self, endpoint: str, model: str, *, stream: bool) -> float | None:
        """Return how long one waits there, for the first event of a stream or a whole answer: the median, if known."""
        times = self._times[endpoint, model]
        return times.first_s.median if stream else times.whole_s.median

    def limit_s(
        self, endpoint: str, model: str, *, stream: bool, tokens: int, request_bytes: int, waiting: int
    ) -> float:
        """Return how long to wait there, for a stream's first event or a whole answer; infinity: nobody knows.

        A request larger than what is usual there may take so much longer, and so may one that more others wait beside:
        at worst they are read one after the other.

        Args:
            endpoint: base URL.
            model: that is asked for.
            stream: whether the answer is one.
            tokens: that a whole answer may have.
            request_bytes: of this request.
            waiting: calls that wait there for an answer, this one included.
        """
        times = self._times[endpoint, model]
        slow_s = times.first_s.high if stream else times.token_s.high
        if slow_s is None:
            return math.inf
        longer = max(waiting / (times.load.median or 1.0), 1.0)
        longer *= max(request_bytes / (times.request_bytes.median or math.inf), 1.0) if stream else tokens
        return max(_PATIENCE * slow_s * longer, self._least_s)

    def late_s(self, endpoint: str, model: str, *, stream: bool) -> float | None:
        """Return from when on a call that waits there does so for too long, whatever it asked for, if that is known."""
        times = self._times[endpoint, model]
        slow_s = times.first_s.high if stream else times.whole_s.high
        return None if slow_s is None else max(_PATIENCE * slow_s, self._least_s)
