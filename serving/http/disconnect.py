"""A client that hangs up: whoever answers it is told by its connection, and needs no task that waits for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from highwayman.serving.http.asgi import Scope

DISCONNECT = "highwayman.disconnect"  # among the extensions of a request's scope


class Disconnect:
    """The end of one connection."""

    def __init__(self) -> None:
        self.has_happened = False
        self._callbacks: set[Callable[[], object]] = set()

    def happen(self) -> None:
        """Tell that the client has hung up."""
        self.has_happened = True
        for on_disconnect in tuple(self._callbacks):
            on_disconnect()

    def begin_telling(self, on_disconnect: Callable[[], object]) -> None:
        """Call `on_disconnect` if the client hangs up before `end_telling`, or has done so already."""
        self._callbacks.add(on_disconnect)
        if self.has_happened:
            on_disconnect()

    def end_telling(self, on_disconnect: Callable[[], object]) -> None:
        """Call it no more."""
        self._callbacks.discard(on_disconnect)


async def cancel_on_disconnect(work: Coroutine[Any, Any, None], scope: Scope) -> None:
    """Run `work` to its end in this task, but cancel it when the client hangs up: then return when it has ended."""
    disconnect: Disconnect = scope["extensions"][DISCONNECT]
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    disconnect.begin_telling(task.cancel)
    try:
        await work
    except asyncio.CancelledError:
        if not disconnect.has_happened or task.uncancel():  # somebody else cancels the task, too
            raise
    finally:
        disconnect.end_telling(task.cancel)
