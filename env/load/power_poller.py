"""Asks each exporter of power, again and again, for its watts. No request ever waits for that."""

import asyncio
import logging
from typing import Final

import aiohttp

from highwayman.env.load.power import PowerMeter, parse_watts
from highwayman.env.load.whole_body import whole_body

_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 1 << 20
_LONGEST_PAUSE_S: Final = 15.0
_FAILED: Final = (TimeoutError, aiohttp.ClientError, OSError, ValueError)

log = logging.getLogger(__name__)


class PowerPoller:
    """Reads the watts of every exporter that an arm names."""

    def __init__(self, meter: PowerMeter, *, every_s: float = 1.0) -> None:
        """Take what is told the watts, and the seconds between two readings."""
        self._meter = meter
        self._every_s = every_s

    async def run(self) -> None:
        """Poll until cancelled. Whatever an exporter does, or does not, ends nothing."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            await asyncio.gather(*(self._poll(session, url) for url in self._meter.urls))

    async def _poll(self, session: aiohttp.ClientSession, url: str) -> None:
        failures = 0
        while True:
            try:
                self._meter.on_reading(url, await _watts(session, url))
                failures = 0
            except _FAILED as error:
                failures += 1
                if failures == 1:
                    log.warning("no watts from %s, coefficients stand for them: %s", url, error or type(error).__name__)
            await asyncio.sleep(min(self._every_s * 2.0 ** min(failures, 10), max(_LONGEST_PAUSE_S, self._every_s)))


async def _watts(session: aiohttp.ClientSession, url: str) -> float:
    """Return what an exporter says. Raises one of _FAILED."""
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"it answered {response.status}")
        return parse_watts(await whole_body(response, most_bytes=_MOST_BYTES))
