"""HTTP/1.1 as the server speaks it: uvicorn's protocol with limits on what a slow or odd connection may take."""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, HttpToolsProtocol

from highwayman.serving.http.asgi import BODY, HAS_ROOM, RESPOND, WRITE_PART, Headers, Send
from highwayman.serving.http.disconnect import DISCONNECT, Disconnect
from highwayman.serving.http.joined_writes import JoinedWrites

_MOST_HEAD_BYTES = 64 * 1024
_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """How long a connection may take, in seconds."""

    head_s: float = 10.0  # from a request's first byte, or a connection's beginning, to the last of its headers
    body_s: float = 30.0  # for what is left of a body after its answer


class HeadTooLarge(ValueError):
    """A request whose address and headers are longer than any client's."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection. Heads are bounded in time and size; upgrades are ignored, as RFC 9110, 7.8, allows.

    uvicorn leaves a connection alone whose head never ends, and drops the body of a request that asks for an upgrade,
    such as that to h2c which Java's client sends along by default.
    """

    timeouts: ClassVar[ConnectionTimeouts] = ConnectionTimeouts()

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = False  # of a request that has begun
        self._reading_body = False
        self._ignoring_upgrade = False
        self._head_bytes = 0
        self._counts_parts = False  # of what is being parsed, because its bytes were not counted as they came
        self._head_is_new = False  # it has come with what is being parsed, so nobody has begun to answer it
        self._disconnect = Disconnect()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, and wait for the first head so long."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._arm(self.timeouts.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._disarm()
        super().connection_lost(exc)
        self._disconnect.happen()

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests."""
        self._unset_keepalive_if_required()
        size = len(data)
        self._counts_parts = self._reading_body or size > _MOST_HEAD_BYTES
        if not self._reading_body:
            self._head_bytes += size
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._disarm()
            if isinstance(error.__context__, HeadTooLarge):
                self._refuse(431, "The request's head is too large.")
            else:
                self.logger.warning("Invalid HTTP request received.")
                self.send_400_response("Invalid HTTP request received.")
            return
        self._head_is_new = False
        if self._head_bytes > _MOST_HEAD_BYTES and not self._reading_body:
            self._refuse(431, "The request's head is too large.")
        elif self._deadline is None and not self._reading_body and (self._in_head or self._is_answered()):
            self._arm(self.timeouts.head_s)  # something has come that is no whole head

    def _feed(self, data: bytes) -> None:
        """Parse bytes; a request that asks for an upgrade is parsed again without asking."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = self._head_without_upgrade() + data[int(upgrade.args[0]) :]
                self._ignoring_upgrade = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            kept = _without_upgrade(value) if name == b"connection" else value
            if name not in _UPGRADE_HEADERS and (kept or name != b"connection"):
                lines.append(b"%s: %s" % (name, kept))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        extensions: dict[str, Any] = {DISCONNECT: self._disconnect, HAS_ROOM: self._has_room}
        extensions[RESPOND], extensions[WRITE_PART] = self._respond, self._write_part
        self.scope["extensions"] = extensions
        self._head_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """Take a part of the address. Raises HeadTooLarge."""
        if self._counts_parts:
            self._count(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer. Raises HeadTooLarge."""
        if self._counts_parts:
            self._count(len(name) + len(value))
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > 2 * _MOST_HEAD_BYTES:
            raise HeadTooLarge

    def on_headers_complete(self) -> None:
        """Start the request, unless it asks for an upgrade: then it comes again. Raises ValueError for CONNECT."""
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("CONNECT is not served")
        self._ignoring_upgrade = self.parser.should_upgrade()
        if not self._ignoring_upgrade:
            if self._deadline is not None:
                self._disarm()
            self._in_head = False
            self._reading_body = self._head_is_new = True
            self._head_bytes = 0
            super().on_headers_complete()
            if self.cycle is not None:  # its task has not begun yet
                self._joined = JoinedWrites(self.transport, self.loop)
                self.cycle.transport = self._joined  # type: ignore[assignment]
            if len(self.pipeline) == 1:  # one that waits for its turn does not keep us from seeing its client hang up
                self.flow.resume_reading()

    def on_message_complete(self) -> None:
        """End the request's body."""
        if self._ignoring_upgrade:
            return
        self._reading_body = False
        if self._deadline is not None:
            self._disarm()
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.more_body = False
        cycle.message_event.set()
        if self._head_is_new and len(cycle.body) <= HIGH_WATER_LIMIT:  # of more, reading is to go on
            self.scope["extensions"][BODY] = cycle.body  # type: ignore[assignment]

    def on_response_complete(self) -> None:
        """Go on to the next request; what is left of this one's body may take a while only."""
        super().on_response_complete()
        if self._reading_body:
            self._arm(self.timeouts.body_s)

    def _has_room(self) -> bool:
        """Return whether a part of the running response's body may be written without waiting, and as a chunk."""
        cycle = self.cycle  # of the newest request: where others are before it, its response has not begun
        return not (self.flow.write_paused or cycle.disconnected) and cycle.chunked_encoding is True

    def _write_part(self, body: bytes) -> None:
        """Write a part of a body, for which there is room, as uvicorn's `send` does."""
        self.cycle.transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def _respond(self, send: Send, status: int, headers: Headers, body: bytes) -> bool:
        """Write a whole response in one step; return False for one that uvicorn has to be told of in parts.

        That is one behind others or behind leave to send its body, to a client that is slow or has gone, or the last of
        its connection; and what uvicorn would refuse.
        """
        cycle = self.cycle
        if send != cycle.send or not cycle.keep_alive or cycle.access_log or cycle.scope["method"] == "HEAD":
            return False
        if cycle.response_started or cycle.disconnected or self.flow.write_paused or self._joined.held:
            return False
        head, values = STATUS_LINE[status], b""
        for name, value in (*cycle.default_headers, *headers):
            if name in _FRAMING:
                return False
            head += b"%b: %b\r\n" % (name, value)
            values += value
        if HEADER_VALUE_RE.search(values):
            return False
        self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if not self._is_answered():
            self._arm(self.timeouts.head_s)  # an answer is on its way: its connection is not cut for the next request
        elif self._head_bytes and not self._reading_body:
            self._refuse(408, "The request's head did not come in time.")
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        self._disarm()
        if self.transport.is_closing():
            return
        if self._is_answered():
            head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(message) + message.encode())
        self.transport.close()


def _without_upgrade(connection: bytes) -> bytes:
    """Return the options of a Connection header but those of an upgrade."""
    options = [option.strip() for option in connection.split(b",")]
    return b", ".join(option for option in options if option.lower() not in _UPGRADE_HEADERS)
