"""Calls that find out whether a server is well again: nobody waits for them longer than for another server's answer.

They are hedged (Dean and Barroso, "The Tail at Scale", CACM 2013). What such a call came to is noted by whoever makes
it; its answer is dropped, except where nobody else has one.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from highwayman.env.errors import UpstreamError
from highwayman.env.upstream.answers.endings import Account, Ending
from highwayman.env.upstream.attempts.attempts import AttemptLog
from highwayman.env.upstream.attempts.targets import Target
from highwayman.env.upstream.calls.response import UpstreamResponse

OVERTAKEN = Account(Ending.OVERTAKEN, "it was slow to answer after a rest; another was asked meanwhile")


async def within(
    seconds: float,
    target: Target,
    call: Coroutine[Any, Any, UpstreamResponse],
    on_end: Callable[[], None],
    *,
    attempts: AttemptLog,
) -> UpstreamResponse | None:
    """Return what a call comes to if it does in time, else None, and it goes on. Raises what it raises.

    `on_end` is called when it has ended, in time or not.
    """
    task = asyncio.create_task(call)
    task.add_done_callback(lambda _: on_end())
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        stop(task)
        raise
    if task.done():
        return task.result()
    attempts.overtaken.append((target, task))
    return None


async def last_answer(attempts: AttemptLog) -> UpstreamResponse | None:
    """Return an answer of the calls that were overtaken, for a request that has no other."""
    while attempts.overtaken:
        target, task = attempts.overtaken.pop(0)
        try:
            answer = await task
        except UpstreamError:
            continue  # on record as overtaken
        except asyncio.CancelledError:
            stop(task)
            raise
        if answer.account.ending is Ending.ANSWERED:
            attempts.begin(target.arm, target.endpoint, at=answer.sent_at)
            attempts.end(answer.account)
            return answer
        answer.close()
    return None


def let_go(attempts: AttemptLog, under_way: set[asyncio.Task[UpstreamResponse]]) -> None:
    """Let the calls that were overtaken go on without their request, among those under way."""
    for _, task in attempts.overtaken:
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        task.add_done_callback(stop)


def stop(call: asyncio.Future[UpstreamResponse]) -> None:
    """Cancel a call, or drop the answer it has begun: either tells its server to stop generating."""
    if not call.cancel() and not call.cancelled() and call.exception() is None:
        call.result().close()
