"""A model server that costs next to nothing: a bare protocol on uvloop which answers at once.

    python -m benchmarks.proxies.mock_upstream PORT

A stream is 36 events, one every 2 ms as a model would write them, each a chunk of its own; then `[DONE]`.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

import httptools
import uvloop

EVENTS = 36
PAUSE_S = 0.002
LAST_WORD = "indeed"  # of every answer: whoever has it has everything

_TEXT = f"Paris is the capital of France, as everybody who has ever been there knows, {LAST_WORD}"
_USAGE = {"prompt_tokens": 60, "completion_tokens": EVENTS, "total_tokens": 60 + EVENTS}


def _message() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}
    return _json({"object": "chat.completion", "choices": [choice], "usage": _USAGE})


def _events() -> Iterator[bytes]:
    """Yield the chunks of a stream, as they stand on the wire."""
    for number in range(EVENTS):
        last = number == EVENTS - 1
        delta = {"role": "assistant", "content": LAST_WORD if last else f"word-{number} "}
        choice = {"index": 0, "delta": delta, "finish_reason": "stop" if last else None}
        usage = {"usage": _USAGE} if last else {}
        yield b"data: " + _json({"object": "chat.completion.chunk", "choices": [choice], **usage}) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps({"id": "chatcmpl-1", "created": 1, "model": "m", **fields}).encode()


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_ANSWER = _whole(_message())
_MODELS = _whole(json.dumps({"object": "list", "data": [{"id": "m", "object": "model"}]}).encode())
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_CHUNKS = [b"%x\r\n%b\r\n" % (len(event), event) for event in _events()]
_CHUNKS[-1] += b"0\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Answers one caller."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"GET":
            known = self._url.endswith((b"/models", b"/health"))
            self._transport.write(_MODELS if known else _NOT_FOUND)
        elif b'"stream":true' in self._body or b'"stream": true' in self._body:
            self._transport.write(_STREAM_HEAD + _CHUNKS[0])
            self._next_chunk_soon(1)
        else:
            self._transport.write(_ANSWER)

    def _next_chunk_soon(self, number: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self._write_chunk, number)

    def _write_chunk(self, number: int) -> None:
        self._transport.write(_CHUNKS[number])
        if number + 1 < len(_CHUNKS):
            self._next_chunk_soon(number + 1)


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
