"""The beginning of a streamed answer, held back until it says something: until then another server can be asked."""

import pydantic_core

from highwayman.env.upstream.endings import Account, AttemptFailed, Ending, account_of_event, is_meaningful

_DATA, _DONE = b"data:", b"[DONE]"
_MOST_BYTES = 1 << 20  # of comments, roles and empty pieces


class StreamOpening:
    """What has come of a stream up to its first meaningful event."""

    def __init__(self) -> None:
        self.begun = False  # whether a meaningful event has come
        self._parts: list[bytes] = []
        self._size = 0
        self._rest = b""  # a line without its end

    @property
    def data(self) -> bytes:
        """All bytes so far."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> None:
        """Take more of it. Raises AttemptFailed where it tells of an error, or ends, or says nothing at length."""
        self._parts.append(chunk)
        self._size += len(chunk)
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._read(line)
            if self.begun:
                return
        if self._size > _MOST_BYTES:
            raise _failed("sent much and said nothing")

    def finish(self) -> None:
        """Take the end of the stream. Raises AttemptFailed if it said nothing."""
        self._read(self._rest)
        if not self.begun:
            raise _failed("ended without an answer")

    def _read(self, line: bytes) -> None:
        data = line[len(_DATA) :].strip() if line.startswith(_DATA) else b""
        if not data:
            return
        if data == _DONE:
            raise _failed("ended without an answer")
        try:
            event = pydantic_core.from_json(data)
        except ValueError as error:
            raise _failed("answered with something that is not JSON") from error
        failure = account_of_event(event)
        if failure is not None:
            raise AttemptFailed(failure)
        self.begun = is_meaningful(event)


def _failed(why: str) -> AttemptFailed:
    return AttemptFailed(Account(Ending.ARMS_FAULT, why))
