"""A client that hangs up: whoever answers it is told by its connection, and needs no task that waits for it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from highwayman.serving.http.asgi import Scope

DISCONNECT = "highwayman.disconnect"  # among the extensions of a request's scope


class Disconnect:
    """The end of one connection."""

    def __init__(self) -> None:
        self._has_happened = False
        self._callbacks: set[Callable[[], None]] = set()

    def happen(self) -> None:
        """Tell that the client has hung up."""
        self._has_happened = True
        for on_disconnect in tuple(self._callbacks):
            on_disconnect()

    def begin_telling(self, on_disconnect: Callable[[], None]) -> None:
        """Call `on_disconnect` if the client hangs up before `end_telling`, or has done so already."""
        self._callbacks.add(on_disconnect)
        if self._has_happened:
            on_disconnect()

    def end_telling(self, on_disconnect: Callable[[], None]) -> None:
        """Call it no more."""
        self._callbacks.discard(on_disconnect)


async def cancel_on_disconnect(work: Coroutine[Any, Any, None], scope: Scope) -> None:
    """Run `work` to its end in this task, but cancel it when the client hangs up: then return when it has ended."""
    disconnect: Disconnect = scope["extensions"][DISCONNECT]
    task, hung_up = asyncio.current_task(), False

    def cancel() -> None:
        nonlocal hung_up
        if task is not None and not hung_up:
            hung_up = True
            task.cancel()

    disconnect.begin_telling(cancel)
    try:
        await work
    except asyncio.CancelledError:
        if task is None or not hung_up or task.uncancel():  # somebody else cancels the task, too
            raise
    finally:
        disconnect.end_telling(cancel)
