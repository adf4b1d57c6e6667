"""The poller of watts against real exporters: a body that comes in pieces is read whole, and nothing ends it."""

import asyncio
import time

from aiohttp import web

from highwayman.env.load.power import PowerMeter
from highwayman.env.load.power_poller import PowerPoller
from highwayman.env.types import Arm
from tests.env.load.test_poller import serving, until


async def test_what_comes_in_pieces_is_read_whole_and_no_nonsense_ends_the_polling() -> None:
    answers = iter(["[" * 100_000, "DCGM_FI_DEV_POWER_USAGE\n", "DCGM_FI_DEV_POWER_USAGE many\n", "\0"])
    read: list[float] = []

    async def exporter(request: web.Request) -> web.StreamResponse:
        nonsense = next(answers, None)
        if nonsense is not None:
            return web.Response(text=nonsense)
        response = web.StreamResponse()
        await response.prepare(request)
        for gpu in range(2):
            await response.write(b'DCGM_FI_DEV_POWER_USAGE{gpu="%d"} 100\n' % gpu)
            await asyncio.sleep(0.02)  # a piece of its own
        return response

    class Meter(PowerMeter):
        def on_reading(self, url: str, watts: float) -> None:
            read.append(watts)

    async with serving(exporter) as url:
        arm = Arm("a", ("http://a:1",), "a", 1.0, 1.0, 4096, power_url=f"{url}/metrics")
        task = asyncio.create_task(PowerPoller(Meter([arm], time.monotonic), every_s=0.001).run())
        try:
            await until(lambda: task.done() or len(read) > 1)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert set(read) == {200.0}
