"""A stream may be silent for so long, whatever else its reader does between two chunks."""

import asyncio

from highwayman.env.upstream.answers.silence import SilenceLimit

LIMIT_S = 0.05


async def test_a_wait_that_lasts_too_long_is_ended_however_many_there_were_before() -> None:
    reached, loop = asyncio.Event(), asyncio.get_running_loop()
    with SilenceLimit(LIMIT_S, reached.set) as silence:
        for _ in range(100):
            silence.wait()
            silence.end()
        await asyncio.sleep(LIMIT_S / 2)
        began = loop.time()
        silence.wait()
        await asyncio.wait_for(reached.wait(), 10.0)
    assert silence.was_reached
    assert loop.time() - began >= LIMIT_S


async def test_what_passes_between_two_waits_is_no_silence() -> None:
    reached = asyncio.Event()
    with SilenceLimit(LIMIT_S, reached.set) as silence:
        silence.wait()
        silence.end()
        await asyncio.sleep(3 * LIMIT_S)  # a client that reads slowly
        silence.wait()
        await asyncio.sleep(0)
        assert not silence.was_reached
        await asyncio.wait_for(reached.wait(), 10.0)


async def test_nothing_is_ended_once_the_stream_is_over() -> None:
    reached = asyncio.Event()
    with SilenceLimit(LIMIT_S, reached.set) as silence:
        silence.wait()
    await asyncio.sleep(2 * LIMIT_S)
    assert not silence.was_reached
    assert not reached.is_set()
