"""Connections to model servers, kept open between calls."""

import os
import ssl
import weakref
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import aiohttp

from highwayman.env.pool.schema import VARIABLE
from highwayman.env.types import Arm
from highwayman.env.upstream.calls.chunk_tap import ChunkTap, StreamedResponse
from highwayman.env.upstream.calls.reading import JSON


class _StaleConnection(aiohttp.ClientError):
    """A connection that was kept for a server had been closed by it."""


class _Response(aiohttp.ClientResponse):
    """Knows whether it comes over a connection that others have used; a middleware can tell, too, but takes longer."""

    is_on_kept = False

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the head. Raises _StaleConnection where the server had closed a connection that was kept for it."""
        try:
            return await super().start(connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not self.is_on_kept:
                raise
            raise _StaleConnection from error


class _StreamResponse(_Response, StreamedResponse):
    """One that may be a stream."""


class _Request(aiohttp.ClientRequest):
    """Knows whether it goes over a connection that others have used; aiohttp's traces tell it, too, at 20 us a call."""

    _used: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()  # of the connections' protocols

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Go over a connection."""
        is_on_kept = conn.protocol in self._used
        if not is_on_kept:
            self._used.add(conn.protocol)
        response = await super().send(conn)
        if isinstance(response, _Response):
            response.is_on_kept = is_on_kept
        return response


class _StreamRequest(_Request):
    """Asks for a stream."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Go over a connection."""
        tap = ChunkTap(conn.transport)
        response = await super().send(conn)
        if isinstance(response, StreamedResponse):
            response.tap = tap
        return response


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
        self._session: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None  # never reuses a connection
        self._streams: aiohttp.ClientSession | None = None  # goes over the connections of the first one

    async def start(self) -> None:
        """Open the pool; needs a running event loop."""
        shared, fresh = self._connector(keepalive_timeout=60.0), self._connector(force_close=True)
        self._session = self._open_session(shared, response_class=_Response)
        self._fresh = self._open_session(fresh)
        self._streams = self._open_session(
            shared,
            connector_owner=False,
            request_class=_StreamRequest,
            response_class=_StreamResponse,
        )

    async def close(self) -> None:
        """Close every connection."""
        for session in (self._streams, self._session, self._fresh):
            if session is not None:
                await session.close()

    async def post(
        self, arm: Arm, url: str, body: bytes, *, content_type: str = JSON, stream: bool = False
    ) -> aiohttp.ClientResponse:
        """Return the head of what the arm's server answers; a kept connection that it has closed is no failure."""
        session = self._streams if stream else self._session
        if session is None or self._fresh is None:
            raise RuntimeError("Upstream.start was not awaited")
        headers = {"content-type": content_type}
        key = os.environ.get(arm.api_key_env) if arm.api_key_env else None
        if key:
            headers["authorization"] = f"Bearer {key}"
        if arm.headers:
            headers |= _filled_in(arm.headers)
        if self.call_headers is not None:
            headers |= self.call_headers()
        try:
            response = await session.post(url, data=body, headers=headers, allow_redirects=False)
            if isinstance(response, StreamedResponse) and response.tap is not None and not response.tap.begin(response):
                response.tap = None
            return response
        except _StaleConnection:
            pass
        # The server had closed a connection that was kept for it: that is nobody's fault, and a new one will do.
        return await self._fresh.post(url, data=body, headers=headers, allow_redirects=False)

    def _connector(self, **options: Any) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(), **options)

    def _open_session(self, connector: aiohttp.TCPConnector, **options: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s),
            # One session serves all tenants: a cookie one of them was given must not go out with another's request.
            cookie_jar=aiohttp.DummyCookieJar(),
            **{"request_class": _Request, **options},
        )
