"""Tasks: ended for certain, or left to themselves and awaited in the end; and work beside the event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_AGAIN_S = 0.5
_Result = TypeVar("_Result")


async def cancel_and_wait(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` and return when it has ended, however it ended; its exception is not raised.

    One cancel is not enough: before Python 3.12, `asyncio.wait_for` (which redis-py sends with) loses a cancellation
    that arrives in the very moment its work is done.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)


class BackgroundTasks:
    """Work that outlives its request, awaited before the process ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start `work` and return its task; nobody need wait for it but `drain`."""
        task = asyncio.create_task(work)
        self.await_in_the_end(task)
        return task

    def await_in_the_end(self, work: "asyncio.Future[Any]") -> None:
        """Have `drain` wait for work that has been started elsewhere."""
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Return when everything spawned has ended."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


class SideThread:
    """One thread beside the event loop, for work that takes long: one piece of work at a time, the others wait.

    A second such thread would make the loop wait twice as long for its turn.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="highwayman-side")

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what `work` returns, and raise what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """End the thread when what it does is done; what waits is cancelled."""
        self._executor.shutdown(wait=False, cancel_futures=True)
