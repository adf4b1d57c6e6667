"""A model server that has answered, or begun to."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from highwayman.env.errors import UpstreamError
from highwayman.env.types import Arm
from highwayman.env.upstream.answers.endings import ANSWERED, Account, account_of_exception
from highwayman.env.upstream.answers.silence import SilenceLimit


@dataclass(slots=True)
class UpstreamResponse:
    """An answer whose first meaningful event is here, or a refusal. Close it, or read `chunks` to the end."""

    arm: Arm
    status: int
    content_type: str
    sent_at: float  # by the clock given to Upstream
    first_byte_at: float  # when its first meaningful event had come; of a whole answer, when it was here
    _first: bytes = field(repr=False)
    _response: aiohttp.ClientResponse | None = field(default=None, repr=False)  # None: `_first` is all there is
    _silence_s: float = 0.0
    attempts: int = 1
    account: Account = ANSWERED  # so far
    answer: Any = field(default=None, repr=False)  # a whole one, parsed
    samples: int = 1  # answers that were drawn for it, all of which are paid
    uncounted: int = 0  # of these, where there are several: those that reported no usage, which the sum therefore lacks
    _on_broken: Callable[[], None] = field(default=lambda: None, repr=False)
    _on_over: Callable[[], None] = field(default=lambda: None, repr=False)
    _on_whole: Callable[[], None] = field(default=lambda: None, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here."""
        return self._response is None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises UpstreamError if it breaks off or falls silent."""
        yield self._first
        if self._response is None:
            return
        content = self._response.content
        with SilenceLimit(self._silence_s, self._response.close) as silence:
            while True:
                try:
                    silence.wait()
                    chunk = await content.readany()
                    silence.end()
                except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
                    cause = TimeoutError() if silence.was_reached else error
                    raise self.broken(account_of_exception(cause).why) from error
                if not chunk:
                    self._on_over()
                    return
                yield chunk

    async def body(self) -> bytes:
        """Return the whole body. Raises UpstreamError if it breaks off."""
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
        self._on_over()
