"""Work that runs beside the requests, as long as the router does."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from highwayman.env.tasks import cancel_and_wait

log = logging.getLogger(__name__)


def start_in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], on_failure: Callable[[], None]) -> None:
    """Run `work` beside the requests until the stack unwinds; should it fail before, that is told at once."""

    def on_done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("a background task has ended", exc_info=task.exception())
            on_failure()

    task = asyncio.create_task(work)
    task.add_done_callback(on_done)
    stack.push_async_callback(cancel_and_wait, task)
