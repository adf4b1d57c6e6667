import asyncio

import pytest

from highwayman.serving.http.asgi import Scope
from highwayman.serving.http.disconnect import DISCONNECT, Disconnect, cancel_on_disconnect


class Work:
    """Waits for ever, and notes how that ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = False

    async def run(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def scope(disconnect: Disconnect) -> Scope:
    return {"extensions": {DISCONNECT: disconnect}}


async def test_a_client_that_hangs_up_cancels_the_work_and_nothing_else() -> None:
    work, disconnect = Work(), Disconnect()

    async def serve() -> str:
        await cancel_on_disconnect(work.run(), scope(disconnect))
        await asyncio.sleep(0)
        return "went on"

    serving = asyncio.create_task(serve())
    await work.begun.wait()
    disconnect.happen()
    assert await serving == "went on"
    assert (work.cancelled, serving.cancelling()) == (True, 0)


async def test_work_for_a_client_that_has_gone_already_begins_and_is_cancelled() -> None:
    work, disconnect = Work(), Disconnect()
    disconnect.happen()
    await cancel_on_disconnect(work.run(), scope(disconnect))
    assert work.begun.is_set()
    assert work.cancelled


@pytest.mark.parametrize("hangs_up", [False, True])
async def test_whoever_else_cancels_the_task_is_obeyed(hangs_up: bool) -> None:
    work, disconnect = Work(), Disconnect()
    serving = asyncio.create_task(cancel_on_disconnect(work.run(), scope(disconnect)))
    await work.begun.wait()
    if hangs_up:
        disconnect.happen()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert work.cancelled


async def test_a_client_that_hangs_up_afterwards_cancels_nothing() -> None:
    disconnect = Disconnect()
    await cancel_on_disconnect(asyncio.sleep(0), scope(disconnect))
    disconnect.happen()
    await asyncio.sleep(0)  # where a cancellation would come
