"""A `send` that is given a chat's answer and passes on a protocol's."""

import json
from collections.abc import MutableMapping
from typing import Any

from highwayman.env.json_pieces import dump_aside, parse_aside
from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.lines import LineSplitter, parse_event
from highwayman.serving.http.asgi import Headers, Send, send_response
from highwayman.serving.protocols.protocol import AnsweredBy, ClientProtocol, EventTranslator, TranslatedRequest

_DATA, _DONE = b"data:", b"[DONE]"
_DECISION, _ARM, _LENGTH = b"x-highwayman-decision", b"x-highwayman-arm", b"content-length"
_LARGE_BYTES = 64 * 1024


class TranslatedSend:
    """Translates one answer. Errors pass as they are: `ErrorSend` sees to those."""

    def __init__(self, send: Send, request: TranslatedRequest) -> None:
        """Take where the answer goes, and the request it is for."""
        self._send = send
        self._request = request
        self._start: MutableMapping[str, Any] = {}
        self._body: list[bytes] = []
        self._by = AnsweredBy("", "")
        self._stream: _Stream | None = None

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Take the next message of the chat's answer."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._stream is not None:
            more = bool(message.get("more_body"))
            body = self._stream.feed(message.get("body", b""), is_last=not more)
            if body or not more:
                await self._send({"type": "http.response.body", "body": body, "more_body": more})
        elif self._start:
            self._body.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._answer()
        else:
            await self._send(message)

    async def _begin(self, message: MutableMapping[str, Any]) -> None:
        headers = dict(message["headers"])
        if message["status"] != 200:
            await self._send(message)
            return
        self._by = AnsweredBy(headers.get(_DECISION, b"").decode("latin-1"), headers.get(_ARM, b"").decode("latin-1"))
        left_out = [(b"x-highwayman-left-out", ", ".join(self._request.left_out).encode())]
        told = {**message, "headers": [*message["headers"], *(left_out if self._request.left_out else [])]}
        if headers.get(b"content-type", b"").startswith(b"text/event-stream"):
            self._stream = _Stream(self._request.answers.stream(self._by))
            await self._send(told)
        else:
            self._start = told

    async def _answer(self) -> None:
        body = b"".join(self._body)
        answer = self._request.answers.whole(await parse_aside(body), self._by)
        written = await dump_aside(answer, large=len(body) > _LARGE_BYTES)
        headers: Headers = [pair for pair in self._start["headers"] if pair[0] != _LENGTH]
        await send_response(self._send, self._start["status"], written, headers)


class _Stream:
    """The events of a stream, cut out of its bytes and translated."""

    def __init__(self, translator: EventTranslator) -> None:
        self._translator = translator
        self._lines = LineSplitter()
        self._has_failed = False

    def feed(self, chunk: bytes, *, is_last: bool) -> bytes:
        """Return what goes out for a chunk; nothing goes out behind a failure."""
        lines = self._lines.feed(chunk)
        if is_last:
            lines.append(self._lines.finish())
        told = [self._line(line) for line in lines]
        if is_last and not self._has_failed:
            told.append(self._translator.finish())
        return b"".join(told)

    def _line(self, line: bytes) -> bytes:
        data = line[len(_DATA) :].strip() if line.startswith(_DATA) else b""
        if not data or data == _DONE or self._has_failed:
            return b""
        try:
            event = parse_event(data)
        except ValueError:  # no event at all; a chat's client would see it, and make nothing of it either
            return b""
        if not isinstance(event, dict):
            return b""
        error = event.get("error")
        if isinstance(error, dict):
            self._has_failed = True
            return self._translator.fail(error)
        return self._translator.feed(event)


class ErrorSend:
    """Writes errors as a protocol does, wherever they come from; anything else passes as it is."""

    def __init__(self, send: Send, protocol: ClientProtocol) -> None:
        """Take where answers go, and the protocol."""
        self._send = send
        self._protocol = protocol
        self._start: MutableMapping[str, Any] = {}
        self._body: list[bytes] = []

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        """Take the next message."""
        if message["type"] == "http.response.start" and message["status"] >= 400:
            self._start = message
        elif not self._start:
            await self._send(message)
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._tell()

    async def _tell(self) -> None:
        status, body = self._start["status"], b"".join(self._body)
        if self._protocol.error is not None:
            body = json.dumps(self._protocol.error(status, _error(body))).encode()
        headers: Headers = [pair for pair in self._start["headers"] if pair[0] != _LENGTH]
        await send_response(self._send, status, body, headers)


def _error(body: bytes) -> JsonObject:
    """Return the error in a refusal: OpenAI's, a server's own, or what it says."""
    try:
        refusal = json.loads(body)
    except ValueError:
        return {"message": body.decode("utf-8", "replace")}
    error = refusal.get("error", refusal) if isinstance(refusal, dict) else None
    if isinstance(error, dict) and error.get("message"):
        return error
    said = error.get("detail", error) if isinstance(error, dict) else error  # FastAPI's
    return {"message": said if isinstance(said, str) else json.dumps(said)}
