"""A model server that has answered, or begun to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp

from highwayman.env.errors import UpstreamError
from highwayman.env.types import Arm
from highwayman.env.upstream.answers.endings import ANSWERED, Account, Ending, account_of_exception
from highwayman.env.upstream.answers.silence import SilenceLimit
from highwayman.env.upstream.answers.usage_report import ReportedUsage, parse_reported_usage
from highwayman.env.upstream.calls.chunk_tap import Take
from highwayman.env.upstream.calls.exchange import ServerResponse


def _takes_none(_: bytes) -> bool:
    return False


@dataclass(slots=True)
class UpstreamResponse:
    """An answer whose first meaningful event is here, or a refusal. Close it, or read `chunks` to the end."""

    arm: Arm
    status: int
    content_type: str
    sent_at: float  # by the clock given to Upstream
    first_byte_at: float  # when its first meaningful event had come; of a whole answer, when it was here
    _first: bytes = field(repr=False)
    _response: ServerResponse | None = field(default=None, repr=False)  # None: `_first` is all there is
    _silence_s: float = 0.0
    attempts: int = 1
    account: Account = ANSWERED  # so far
    answer: Any = field(default=None, repr=False)  # a whole one, parsed
    samples: int = 1  # answers that were drawn for it, all of which are paid
    uncounted: int = 0  # of these, where there are several: those that reported no usage, which the sum therefore lacks
    _usage: ReportedUsage | None = field(default=None, init=False, repr=False)
    _usage_of: Any = field(default=None, init=False, repr=False)  # the answer that it was read of
    _on_broken: Callable[[], None] = field(default=lambda: None, repr=False)
    _on_over: Callable[[], None] | None = field(default=None, repr=False)
    _on_whole: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here."""
        return self._response is None

    @property
    def refuses_to_tell_usage(self) -> bool:
        """Whether its server refuses what the router adds to a stream: it says so of a key that no caller has sent."""
        return self.account.ending is Ending.CALLERS_FAULT and b"stream_options" in self._first

    @property
    def has_ended(self) -> bool:
        """Whether all that is to come of it has been read."""
        return self._response is None or self._response.content.at_eof()

    async def chunks(self, take: Take = _takes_none) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises UpstreamError if it breaks off or falls silent.

        What `take` takes is not yielded: it is called with a chunk as it comes, and says whether it has passed it on.
        """
        yield self._first
        if self._response is None:
            return
        content, tap = self._response.content, self._response.tap
        read: Callable[[], Awaitable[bytes]] = content.readany if tap is None else partial(tap.next, take)
        with SilenceLimit(self._silence_s, self._response.close, None if tap is None else tap.taken_at) as silence:
            while True:
                try:
                    silence.wait()
                    chunk = await read()
                    silence.end()
                except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
                    cause = TimeoutError() if silence.was_reached else error
                    raise self.broken(account_of_exception(cause).why) from error
                if not chunk:
                    if self._on_over is not None:
                        self._on_over()
                    return
                yield chunk

    def reported_usage(self) -> ReportedUsage | None:
        """Return what a whole answer says that it took, read once however many ask."""
        if self._usage_of is not self.answer:
            self._usage_of, self._usage = self.answer, parse_reported_usage(self.answer)
        return self._usage

    async def body(self) -> bytes:
        """Return the whole body. Raises UpstreamError if it breaks off."""
        if self._response is None:
            return self._first
        return b"".join([chunk async for chunk in self.chunks()])

    def blame(self) -> None:
        """Note that the server is at fault for an answer that broke off."""
        self._on_broken()

    def credit(self) -> None:
        """Note that the server has answered to the end."""
        self._on_whole()

    def broken(self, why: str) -> UpstreamError:
        """Return the error of an answer that broke off; its server is told to stop."""
        self.close()
        return UpstreamError(f"arm {self.arm.name!r} broke off its answer: {why}", attempts=self.attempts)

    def when_over(self, on_over: Callable[[], None]) -> None:
        """Call `on_over` (perhaps twice) once the server is done with the answer: at its end, or when it is closed."""
        if self._response is None:
            on_over()
        else:
            self._on_over = on_over

    def close(self) -> None:
        """Drop the connection, which tells the server to stop generating. Harmless once the body has been read."""
        if self._response is not None:
            self._response.close()
        if self._on_over is not None:
            self._on_over()
