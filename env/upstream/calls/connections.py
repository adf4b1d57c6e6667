"""Connections to model servers, kept open between calls."""

import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

from highwayman.env.pool.schema import VARIABLE
from highwayman.env.types import Arm
from highwayman.env.upstream.calls.exchange import Address, Exchanges, ServerResponse, StaleConnection
from highwayman.env.upstream.calls.reading import JSON

_MOST_ADDRESSES: Final = 1024  # with the headers that go there: the keys of a pool's arms do not change every hour


def _filled_in(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the environment's variables in them, without those of which one is not set."""
    filled = {}
    for name, value in headers.items():
        if all(variable in os.environ for variable in VARIABLE.findall(value)):
            filled[name] = VARIABLE.sub(lambda match: os.environ[match[1]], value)
    return filled


class Connections:
    """One pool of connections for all arms."""

    def __init__(self, connect_s: float) -> None:
        """Take the seconds that a connection may take to be made."""
        self._connect_s = connect_s
        self.call_headers: Callable[[], Mapping[str, str]] | None = None  # what every call is sent with; None: nothing
        self._kept: Exchanges | None = None
        self._fresh: Exchanges | None = None  # never over a connection that has been used
        self._addresses: dict[tuple[str, tuple[tuple[str, str], ...]], Address] = {}
        self._tls: ssl.SSLContext | None = None

    async def start(self) -> None:
        """Open the pool; needs a running event loop."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s)
        self._kept = Exchanges(self._connector(keepalive_timeout=60.0), timeout)
        self._fresh = Exchanges(self._connector(force_close=True), timeout)

    async def close(self) -> None:
        """Close every connection."""
        for exchanges in (self._kept, self._fresh):
            if exchanges is not None:
                await exchanges.close()

    async def post(
        self, arm: Arm, url: str, body: bytes, *, content_type: str = JSON, stream: bool = False
    ) -> ServerResponse:
        """Return the head of what the arm's server answers; a kept connection that it has closed is no failure."""
        if self._kept is None or self._fresh is None:
            raise RuntimeError("Upstream.start was not awaited")
        address = self._address(url, self._headers(arm, content_type))
        try:
            return await self._kept.post(address, body, stream=stream)
        except StaleConnection:
            pass
        # The server had closed a connection that was kept for it: that is nobody's fault, and a new one will do.
        return await self._fresh.post(address, body, stream=False)

    def _headers(self, arm: Arm, content_type: str) -> dict[str, str]:
        headers = {"content-type": content_type}
        key = os.environ.get(arm.api_key_env) if arm.api_key_env else None
        if key:
            headers["authorization"] = f"Bearer {key}"
        if arm.headers:
            headers |= _filled_in(arm.headers)
        if self.call_headers is not None:
            headers |= self.call_headers()
        return headers

    def _address(self, url: str, headers: dict[str, str]) -> Address:
        key = url, tuple(headers.items())
        address = self._addresses.get(key)
        if address is None:
            address = Address.of(url, headers, self._trusted if url.startswith("https:") else None)
            if self.call_headers is None:  # else there is one for each call
                if len(self._addresses) >= _MOST_ADDRESSES:
                    self._addresses.clear()
                self._addresses[key] = address
        return address

    def _connector(self, **options: Any) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=0, **options)

    @property
    def _trusted(self) -> ssl.SSLContext:
        """Who is trusted, read at the first call over TLS: a megabyte and 20 ms that others do not need."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
