"""The beginning of a streamed answer, held back until it says something: until then another server can be asked."""

from typing import Any

from highwayman.env.upstream.answers.endings import (
    Account,
    AttemptFailed,
    Ending,
    account_of_event,
    has_written_nothing,
    is_meaningful,
    says_no_more_than_stop,
)
from highwayman.env.upstream.answers.lines import AnswerSizes, EventLineSplitter, SplitEvent, parse_event

_DATA, _DONE = b"data:", b"[DONE]"
_MOST_BYTES = 1 << 20  # of comments, roles and empty pieces


class StreamOpening:
    """What has come of a stream up to its first meaningful event."""

    def __init__(self, sizes: AnswerSizes) -> None:
        """Take how long a line may be."""
        self.begun = False  # whether a meaningful event has come
        self.lines = EventLineSplitter()
        self._split = SplitEvent()
        self._sizes = sizes
        self._parts: list[bytes] = []
        self._silent_bytes = 0  # of lines that said nothing
        self._has_stopped = False  # before it said anything: it may have written nothing, which its usage tells

    @property
    def data(self) -> bytes:
        """All bytes so far."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> None:
        """Take more of it. Raises AttemptFailed where it tells of an error, or ends, or says nothing at length."""
        self._parts.append(chunk)
        for line in self.lines.feed(chunk):
            self._read(line)
            if self.begun:
                return
            self._silent_bytes += len(line) + 1
        if self._silent_bytes > _MOST_BYTES:
            raise _failed("sent much and said nothing")
        if self.lines.held_bytes > self._sizes.line:
            raise _failed(self._sizes.too_long_a_line())

    def finish(self) -> None:
        """Take the end of the stream. Raises AttemptFailed if it said nothing."""
        self._read(self.lines.finish())
        self._read(b"")
        self.begun = self.begun or self._has_stopped
        if not self.begun:
            raise _failed("ended without an answer")

    def _read(self, line: bytes) -> None:
        data = line[len(_DATA) :].strip() if line.startswith(_DATA) else b""
        if self._split and data and self._split.takes(line):
            self._split.add(line)
            return
        if self._split and (data or not line.strip()):
            value, _ = self._split.take()
            if not value:
                raise _failed("answered with something that is not JSON")
            self._read(_DATA + value)
        if not data or self.begun:
            return
        if data == _DONE and self._has_stopped:
            self.begun = True
            return
        if data == _DONE:
            raise _failed("ended without an answer")
        try:
            event = parse_event(data)
        except ValueError:  # perhaps it goes on in the next line
            self._split.add(line)
            return
        failure = account_of_event(event)
        if failure is not None:
            raise AttemptFailed(failure)
        self._read_event(event)

    def _read_event(self, event: Any) -> None:
        if is_meaningful(event):
            is_end = all(map(says_no_more_than_stop, event["choices"]))
            self._has_stopped, self.begun = self._has_stopped or is_end, not is_end
        if self._has_stopped and not self.begun and has_written_nothing(event):
            raise _failed("ended without an answer")


def _failed(why: str) -> AttemptFailed:
    return AttemptFailed(Account(Ending.ARMS_FAULT, why))
