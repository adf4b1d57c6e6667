"""Small pieces of ASGI for the request path, where a framework's layers would cost more than the routing."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from typing import Any, cast

from highwayman.env.errors import HighwaymanError
from highwayman.serving.http.validation import BadRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
# Takes a `send`, a status, headers without the length, and a body; returns False where the response has to be sent in
# parts: what it is given is not the connection's own `send`, or there is more to a response than these.
Respond = Callable[[Send, int, Headers, bytes], bool]

BODY = "highwayman.body"  # among the extensions of a scope: all of its body, where that has come already
HAS_ROOM = "highwayman.has_room"  # among the extensions: says whether `send` would return without waiting
RESPOND = "highwayman.respond"  # among the extensions: sends a whole response in one step
# Among the extensions: writes a part of a body, for which there is room, past `send`. Who changes bodies takes it out.
WRITE_PART = "highwayman.write_part"
_HEADERS = "highwayman.headers"  # in the scope of a request of which one has been asked for
_SLOWEST_BYTES_PER_S = 16 * 1024
_DRAINED = 8  # times the limit that is read and thrown away, so that the client gets to read our refusal

_LAST_OF_CONNECTION = frozenset({408, 413})  # the rest of a body that nobody reads is no next request

JSON: Headers = ((b"content-type", b"application/json"),)


class ClientDisconnected(HighwaymanError):
    """The client hung up before its request was complete."""


def header(scope: Scope, name: bytes) -> str | None:
    """Return the request header `name` (lower case), the first one if it came several times, or None."""
    value = header_map(scope).get(name)
    return None if value is None else value.decode("latin-1")


def header_map(scope: Scope) -> dict[bytes, bytes]:
    """Return the request's headers by name (lower case), the first one of each that came several times."""
    if _HEADERS not in scope:  # gone through once, however many names are asked for
        scope[_HEADERS] = dict(reversed(scope["headers"]))
    headers: dict[bytes, bytes] = scope[_HEADERS]
    return headers


def with_header(scope: Scope, name: bytes, value: str) -> Scope:
    """Return the scope with one more header (lower case), behind those of its client."""
    added: dict[str, Any] = {**scope, "headers": [*scope["headers"], (name, value.encode("latin-1", "replace"))]}
    added.pop(_HEADERS, None)
    return added


async def read_body(scope: Scope, receive: Receive, *, limit_bytes: int, patience_s: float = 30.0) -> bytes:
    """Return the request's body, which may take `patience_s`, and a second more for each 16 kB that come.

    Raises:
        BadRequest: it is larger than `limit_bytes` (status 413), or comes too slowly (408).
        ClientDisconnected: the client hung up.
    """
    extensions = scope.get("extensions", ())
    if BODY in extensions:
        body: bytes = extensions[BODY]
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
        return bytes(body)
    parts: list[bytes] = []
    size = 0
    began = asyncio.get_running_loop().time()
    while True:
        try:
            async with asyncio.timeout_at(began + patience_s + size / _SLOWEST_BYTES_PER_S):
                message = await receive()
        except TimeoutError:
            raise BadRequest("The body did not come in time.", status=408) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        part = message.get("body", b"")
        size += len(part)
        if size <= limit_bytes:
            parts.append(part)
        if size > limit_bytes * _DRAINED or not message.get("more_body"):
            break
    if size > limit_bytes:
        raise _too_large(limit_bytes)
    return b"".join(parts)


def _too_large(limit_bytes: int) -> BadRequest:
    return BadRequest(f"The body is larger than the {limit_bytes} bytes allowed here.", status=413)


async def send_response(send: Send, status: int, body: bytes, headers: Headers = JSON) -> None:
    """Send one whole response."""
    if isinstance(send, ResponseStartTracker) and send.respond(status, headers, body):
        return
    length = (b"content-length", str(len(body)).encode())
    last = [(b"connection", b"close")] if status in _LAST_OF_CONNECTION else []
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, *last]})
    await send({"type": "http.response.body", "body": body})


class ResponseStartTracker:
    """A `send` that is true once a response has begun."""

    def __init__(
        self,
        send: Send,
        has_room: Callable[[], bool] | None = None,
        *,
        respond: Respond | None = None,
        write_part: Callable[[bytes], None] | None = None,
    ) -> None:
        """Take the `send`, and what a connection can do beside it: None, where nobody knows or can.

        Args:
            send: of the request.
            has_room: says whether it would return without waiting.
            respond: sends a whole response in one step.
            write_part: writes a part of a body, for which there is room.
        """
        self._send = send
        self.has_room = has_room or _unknown_room
        self._respond = respond
        self.write_part = write_part
        self._begun = False
        self.headers: Headers = ()  # that the response has beside its own
        self.is_open_event_stream = False  # one that has begun and not ended

    def __bool__(self) -> bool:
        return self._begun

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Send the message on."""
        if not self._begun:
            self._begun = True
            if self.headers:
                message = {**message, "headers": [*message["headers"], *self.headers]}
            for name, value in message["headers"]:
                if name == b"content-type":
                    self.is_open_event_stream = value.startswith(b"text/event-stream")
                    break
        elif not message.get("more_body"):
            self.is_open_event_stream = False
        await self._send(message)

    def respond(self, status: int, headers: Headers, body: bytes) -> bool:
        """Send a whole response in one step, if that can be; return whether it was."""
        if self._respond is None or self._begun or status in _LAST_OF_CONNECTION:
            return False
        if self.headers:
            headers = (*headers, *self.headers)
        self._begun = self._respond(self._send, status, headers, body)
        return self._begun

    def send_part(self, body: bytes) -> None:
        """Send a part of a body, without waiting, where there is room. Raises RuntimeError where there is none."""
        sending = self._send({"type": "http.response.body", "body": body, "more_body": True})
        try:
            cast("Coroutine[Any, Any, None]", sending).send(None)
        except StopIteration:
            return
        raise RuntimeError("a send that had room has waited")


def _unknown_room() -> bool:
    return False
