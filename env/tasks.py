"""Ending a task for certain."""

import asyncio
from typing import Any

_AGAIN_S = 0.5


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` and return when it has ended, however it ended; its exception is not raised.

    One cancel is not enough: before Python 3.12, `asyncio.wait_for` (which redis-py sends with) loses a cancellation
    that arrives in the very moment its work is done.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)
