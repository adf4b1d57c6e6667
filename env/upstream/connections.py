"""Connections to model servers, kept open between calls."""

import os
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp

from highwayman.env.types import Arm
from highwayman.env.upstream.reading import JSON


class Connections:
    """One pool of connections for all arms."""

    def __init__(self, connect_s: float) -> None:
        """Take the seconds that a connection may take to be made."""
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None  # never reuses a connection

    async def start(self) -> None:
        """Open the pool; needs a running event loop."""
        self._session = self._open_session(keepalive_timeout=60.0)
        self._fresh = self._open_session(force_close=True)

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()

    async def post(self, arm: Arm, url: str, body: bytes) -> aiohttp.ClientResponse:
        """Return the head of what the arm's server answers; a kept connection that it has closed is no failure."""
        if self._session is None or self._fresh is None:
            raise RuntimeError("Upstream.start was not awaited")
        headers = {"content-type": JSON}
        key = os.environ.get(arm.api_key_env) if arm.api_key_env else None
        if key:
            headers["authorization"] = f"Bearer {key}"
        told = SimpleNamespace(reused=False)
        try:
            return await self._session.post(
                url, data=body, headers=headers, allow_redirects=False, trace_request_ctx=told
            )
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if not told.reused:
                raise
        # The server had closed a connection that was kept for it: that is nobody's fault, and a new one will do.
        return await self._fresh.post(url, data=body, headers=headers, allow_redirects=False)

    def _open_session(self, **connection: Any) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(), **connection)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s)
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_on_reuse)
        # One session serves all tenants: a cookie one of them was given must not go out with another's request.
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar, trace_configs=[trace])


async def _on_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.reused = True
