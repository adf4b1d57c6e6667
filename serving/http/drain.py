"""The end of a router's service: nothing new is taken, what is under way may finish, what cannot is cut and told."""

import asyncio
from typing import Any, cast

from highwayman.serving.http.asgi import ResponseStartTracker, Send, send_response
from highwayman.serving.http.errors import OnError, ShuttingDown, error_response

_RETRY: tuple[tuple[bytes, bytes], ...] = (
    (b"content-type", b"application/json"),
    (b"retry-after", b"1"),
    (b"connection", b"close"),
)
_TELLING_S = 1.0  # to a client that does not read


class Drain:
    """Which answers are under way, and whether more are taken."""

    def __init__(self) -> None:
        """Take everything, until `begin`."""
        self.begun = False  # no more requests are taken
        self.is_cut = False  # what was under way has been cancelled
        self._under_way: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()

    def begin(self) -> None:
        """Take no more requests from now on."""
        self.begun = True
        self._note_idle()

    def enter(self) -> "asyncio.Task[Any]":
        """Return the running task, whose answer is under way until `leave` is called with it."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._under_way.add(task)
        return task

    def leave(self, task: "asyncio.Task[Any]") -> None:
        """Take note that a task's answer has ended, however it did."""
        self._under_way.discard(task)
        if self.begun:
            self._note_idle()

    @property
    def under_way(self) -> int:
        """How many answers are under way."""
        return len(self._under_way)

    async def wait_idle(self) -> None:
        """Return once no answer is under way any more and no other can begin."""
        await self._idle.wait()

    def cut(self) -> None:
        """Cancel what is under way, and take no more."""
        self.begun = self.is_cut = True
        self._note_idle()
        for task in self._under_way:
            task.cancel()

    def _note_idle(self) -> None:
        if self.begun and not self._under_way:
            self._idle.set()


async def refuse(send: Send, on_error: OnError) -> None:
    """Answer a request that came too late: 503, to be asked again, elsewhere or of whoever follows."""
    status, body, code = error_response(
        ShuttingDown("This router is shutting down and takes no more requests. Ask again.")
    )
    on_error(code)
    await send_response(send, status, body, _RETRY)


async def tell_cut(response: ResponseStartTracker, on_error: OnError) -> None:
    """End an answer that was cut: a stream by an error event without [DONE], one that has not begun by a 503.

    A whole answer that is partly out stays as it is: closing the connection before its length is reached says enough.
    """
    error = ShuttingDown("This router is shutting down, and the answer was cut off. Ask again.")
    status, body, code = error_response(error)
    on_error(code)
    try:
        async with asyncio.timeout(_TELLING_S):
            if not response:
                await send_response(response, status, body, _RETRY)
            elif response.is_open_event_stream:
                # Lines go out whole, so an empty one ends the event that may be under way, and else changes nothing.
                await response({"type": "http.response.body", "body": b"\ndata: " + body + b"\n\n"})
    except TimeoutError:
        pass  # it reads nothing: the end of the connection is what it will see
