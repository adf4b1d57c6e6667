"""How long a stream is waited for that has said all that it has to say: a server may leave its connection open."""

import asyncio
from typing import Any, Final

from highwayman.env.upstream.answers.sse import SseRewriter
from highwayman.env.upstream.calls.response import UpstreamResponse

_AFTER_DONE_S: Final = 0.2  # the connection's end, with which it can be used again, comes at once or not at all
_AFTER_FINISH_S: Final = 3.0  # a report of the usage, and the last event


class RestLimit:
    """Drops the connection of an answer that has come to its end, and is followed by nothing for long."""

    def __init__(self, answer: UpstreamResponse, stream: SseRewriter, *, choices: Any) -> None:
        """Take an answer, its stream, and how many choices were asked for: of several, others may still come."""
        self._answer, self._stream = answer, stream
        self._is_single = choices in (None, 1)
        self._timer: asyncio.TimerHandle | None = None
        self._knows_done = False
        self.is_over = False  # the connection is gone, and was not ended as connections are

    @property
    def is_whole(self) -> bool:
        """Whether the client has been sent all of an answer, whatever may follow it."""
        return self._stream.complete and (self._knows_done or self._timer is not None)

    def on_events(self) -> None:
        """Take that events have come."""
        stream = self._stream
        if self._knows_done or not stream.complete or self._answer.has_ended:
            return
        if stream.done:
            self._knows_done = True
            self._wait(_AFTER_DONE_S)
        elif self._is_single and self._timer is None:
            self._wait(_AFTER_FINISH_S)

    def close(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()

    def missing_end(self, last: bytes) -> bytes:
        """Return the last event of a stream whose server was to say it, and did not, behind its last bytes."""
        if not self.is_over or self._stream.done:
            return b""
        return (b"\n\n" if last and not last.endswith((b"\n", b"\r")) else b"") + b"data: [DONE]\n\n"

    def _wait(self, limit_s: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._on_limit)

    def _on_limit(self) -> None:
        self._timer = None
        if self._stream.complete:  # no words have come behind the finish reason
            self._answer.close()
