"""A shorter way for a stream's chunks: from the socket to whoever passes them on, past a client library's buffers.

aiohttp takes ten microseconds for each chunk of a body, and the task that waits for it some more; a streamed answer is
hundreds of them. So while aiohttp makes and keeps connections, and reads all else, chunks that come whole are taken out
of what it is given. What is in any way unlike that (a piece of a chunk, the last one, trailers) is left to aiohttp,
which misses nothing by then: it has seen each chunk to its end, or not at all.
"""

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

_SIZE: Final = re.compile(rb"0*([1-9a-fA-F][0-9a-fA-F]{0,6})\r\n")  # of a chunk, but for the last
_MOST_BEHIND: Final = 16 * 1024  # bytes that are looked through for where a chunk ends
Take = Callable[[bytes], bool]  # whether a chunk was passed on; else it comes the long way


def whole_chunks(data: bytes) -> bytes | None:
    """Return what the chunks in `data` hold (RFC 9112, 7.1); None where one is not whole, or the last, or odd."""
    at = data.find(b"\r\n")
    size = len(data) - at - 4  # if it is one, as servers write it
    if size > 0 and data[:at] == b"%x" % size and data[-2:] == b"\r\n":
        return data[at + 2 : -2]
    parts, place = [], 0
    while place < len(data):
        head = _SIZE.match(data, place)
        if head is None:
            return None
        begin = head.end()
        end = begin + int(head[1], 16)
        place = end + 2
        if data[end:place] != b"\r\n":
            return None
        parts.append(data[begin:end])
    return b"".join(parts)


class ChunkTap(asyncio.Protocol):
    """Stands before aiohttp's protocol on a connection for the time of one answer."""

    def __init__(self, transport: asyncio.Transport) -> None:
        """Take the connection, before its answer begins."""
        self._transport = transport
        self._inner: Any = transport.get_protocol()
        self._content: aiohttp.StreamReader | None = None  # of an answer that may be tapped
        self._behind = bytearray()  # what aiohttp has had since it stood at a chunk's end; at first, the head, too
        self._has_head = True
        self._take: Take | None = None
        self._waiter: asyncio.Future[bytes] | None = None
        self._now = asyncio.get_running_loop().time
        self._taken_at = -math.inf
        transport.set_protocol(self)

    def begin(self, headers: Mapping[str, str], content: aiohttp.StreamReader) -> bool:
        """Return whether the chunks of an answer, whose head has come, may be taken; if not, this is out of the way."""
        is_plain = headers.get("transfer-encoding", "").lower() == "chunked" and "content-encoding" not in headers
        if not is_plain or content.is_eof():
            self._remove()
            return False
        self._content = content
        return True

    async def next(self, take: Take) -> bytes:
        """Return the next bytes that `take` does not take, which is called as they come; none at the end.

        Raises what the connection breaks with, and what `take` raises.
        """
        content = self._content
        if content is None:
            raise RuntimeError("begin was not called, or has refused")
        data = content.read_nowait()  # raises what it broke with
        if data or content.at_eof():
            return data
        self._take, self._waiter = take, asyncio.get_running_loop().create_future()
        try:
            return await self._waiter
        finally:
            self._take = self._waiter = None

    def taken_at(self) -> float:
        """Return when a chunk was last taken, by the loop's clock."""
        return self._taken_at

    def data_received(self, data: bytes) -> None:
        """Take bytes of the connection."""
        waiter, take = self._waiter, self._take
        if take is not None and waiter is not None and (not self._behind or self._is_at_chunk()) and not waiter.done():
            chunk = whole_chunks(data)
            if chunk is not None:
                try:
                    if take(chunk):
                        self._taken_at = self._now()
                    else:
                        waiter.set_result(chunk)
                except Exception as error:
                    waiter.set_exception(error)
                return
        if len(self._behind) <= _MOST_BEHIND:
            self._behind += data
        self._inner.data_received(data)
        self._wake()

    def eof_received(self) -> bool | None:
        """Take the end of what the server sends."""
        closes: bool | None = self._inner.eof_received()
        self._wake()
        return closes

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the connection's end."""
        self._inner.connection_lost(exc)
        self._wake()

    def pause_writing(self) -> None:
        """Take that enough is written."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Take that more may be written."""
        self._inner.resume_writing()

    def _is_at_chunk(self) -> bool:
        """Return whether aiohttp has seen whole chunks only, and waits for the next."""
        if len(self._behind) > _MOST_BEHIND:
            return False
        behind = bytes(self._behind)
        if whole_chunks(behind.partition(b"\r\n\r\n")[2] if self._has_head else behind) is None:
            return False
        self._behind.clear()
        self._has_head = False
        return True

    def _wake(self) -> None:
        """Hand on what aiohttp has made of what came; and be out of the way once it has the answer's end."""
        content, waiter = self._content, self._waiter
        if content is None:
            return
        if waiter is not None and not waiter.done():
            error = content.exception()
            if error is not None:
                waiter.set_exception(error)
            elif (data := content.read_nowait()) or content.at_eof():
                waiter.set_result(data)
        if content.is_eof():
            self._remove()

    def _remove(self) -> None:
        if self._transport.get_protocol() is self:  # else the connection has gone on to another answer
            self._transport.set_protocol(self._inner)
