"""One request over one of aiohttp's connections, and the head of what is answered.

aiohttp makes and keeps the connections (TLS, names, limits) and parses what comes over them. Its sessions, requests and
responses are left out: they serve every use of HTTP there is, with a task for each body, and take 50 us of a call
(90 us where calls come one by one) for what is a dozen lines here.
"""

import asyncio
import ssl
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from highwayman.env.upstream.calls.chunk_tap import ChunkTap

_SWITCHES: Final = 101  # to another protocol; every other status below 200 is followed by the answer's
_NOT_IN_HEADS: Final = frozenset("\r\n\0")


class StaleConnection(aiohttp.ClientError):
    """A connection that was kept for a server had been closed by it."""


class ServerResponse:
    """The head of what a server answers, and its body as it comes. Close it, or read `content` to the end."""

    __slots__ = ("_connection", "content", "headers", "status", "tap")

    def __init__(self, message: Any, content: aiohttp.StreamReader, connection: Any, *, tap: ChunkTap | None) -> None:
        """Take the head as aiohttp has parsed it, the body, the connection, and a shorter way for the body's chunks."""
        self.status: int = message.code
        self.headers: Mapping[str, str] = message.headers
        self.content = content
        self._connection = connection
        self.tap = tap if tap is not None and tap.begin(self.headers, content) else None
        if self.status != _SWITCHES:
            content.on_eof(self._on_eof)

    def close(self) -> None:
        """Drop the connection, if the body has not come to its end; who waits for more gets a ClientConnectionError."""
        if self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _on_eof(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        transport = connection.transport
        if transport is not None and transport.get_write_buffer_size():
            connection.close()  # answered before it has read the request: nobody knows whether it reads the next
        else:
            connection.release()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes, and its head, which goes by nothing else but the body's length."""

    request: aiohttp.ClientRequest  # never sent: it tells a connector where to
    head: bytes

    @classmethod
    def of(cls, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> "Address":
        """Return that of a POST with these headers, the last of each name, and aiohttp's own; `tls`: None, as it does.

        Raises ValueError for a line break in one.
        """
        own = CIMultiDict[str]()
        for name, value in headers.items():
            own[name] = value
        loop = asyncio.get_running_loop()
        request = aiohttp.ClientRequest("POST", URL(url), headers=own, ssl=True if tls is None else tls, loop=loop)
        lines = [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"]
        if any(not _NOT_IN_HEADS.isdisjoint(line) for line in lines):
            raise ValueError("a header that is sent to a model server must have no line break in it")
        return cls(request, "\r\n".join([f"POST {request.url.raw_path_qs} HTTP/1.1", *lines, ""]).encode())


class Exchanges:
    """Requests over one connector's connections."""

    def __init__(self, connector: aiohttp.TCPConnector, timeout: aiohttp.ClientTimeout) -> None:
        """Take what makes connections, and how long that may take."""
        self._connector, self._timeout = connector, timeout
        self._used = weakref.WeakSet[Any]()  # protocols of connections that had a request before
        self._last_line = b"Connection: close\r\n" if connector.force_close else b""

    async def close(self) -> None:
        """Close every connection."""
        await self._connector.close()

    async def post(self, address: Address, body: bytes, *, stream: bool) -> ServerResponse:
        """Return the head of what is answered.

        Raises StaleConnection where the server had closed a connection that was kept for it, and what aiohttp does.
        """
        try:
            connection = await self._connector.connect(address.request, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to {address.request.host}") from error
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise RuntimeError("a connector has given a connection that is closed")
        is_on_kept = protocol in self._used
        if not is_on_kept:
            self._used.add(protocol)
        try:
            protocol.set_response_params(read_until_eof=True)
            tap = ChunkTap(transport) if stream else None
            last = b"%bContent-Length: %d\r\n\r\n" % (self._last_line, len(body))
            transport.writelines((address.head, last, body))
            status = 100
            while 100 <= status < 200 and status != _SWITCHES:
                message, content = await protocol.read()
                status = message.code
        except BaseException as error:
            connection.close()
            if isinstance(error, HttpProcessingError):
                raise aiohttp.ClientResponseError(
                    address.request.request_info, (), status=error.code, message=error.message, headers=error.headers
                ) from error
            if is_on_kept and isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
                raise StaleConnection from error
            raise
        return ServerResponse(message, content, connection, tap=tap)
