"""A client that costs next to nothing: bare protocols on uvloop, each with one request under way."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httptools

from benchmarks.proxies.mock_upstream import LAST_WORD

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked, and how."""

    port: int
    path: str
    model: str


@dataclass(frozen=True, slots=True)
class Setting:
    """How it is asked."""

    stream: bool
    clients: int

    def __str__(self) -> str:
        return f"{'stream' if self.stream else 'plain'} c={self.clients}"


@dataclass(slots=True)
class Burst:
    """What came of asking for a while."""

    latencies_s: list[float] = field(default_factory=list)  # of the answers that were whole
    errors: int = 0
    wall_s: float = 0.0


class Load:
    """Connections to one target, for one burst."""

    def __init__(self, target: Target, setting: Setting, texts: Iterator[str]) -> None:
        """Take whom to ask, how, and prompts."""
        self._target, self._setting, self._texts = target, setting, texts
        self._connections: list[_Connection] = []
        self._until = 0.0
        self._busy = 0
        self._idle = asyncio.Event()
        self.burst = Burst()

    async def open(self) -> None:
        """Connect, and ask once over each connection; what comes of that is forgotten, but for errors."""
        loop = asyncio.get_running_loop()
        for _ in range(self._setting.clients):
            _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._target.port)
            self._connections.append(connection)
        await self.ask(0.0)
        self.burst.latencies_s.clear()

    async def ask(self, seconds: float) -> None:
        """Ask over every connection again and again; no more after so many seconds; return once all have answers."""
        began = time.perf_counter()
        self._until = began + seconds
        self._idle.clear()
        self._busy = len(self._connections)
        for connection in self._connections:
            connection.send()
        try:
            async with asyncio.timeout(seconds + _PATIENCE_S):
                await self._idle.wait()
        except TimeoutError:
            self.burst.errors += self._busy
        self.burst.wall_s = time.perf_counter() - began

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.close()

    def next_request(self) -> bytes:
        """Return a request that was never sent before."""
        stream = ',"stream":true' if self._setting.stream else ""
        model, text, target = self._target.model, next(self._texts), self._target
        body = f'{{"model":"{model}","messages":[{{"role":"user","content":"{text}"}}]{stream}}}'
        return (
            f"POST {target.path} HTTP/1.1\r\nhost: 127.0.0.1:{target.port}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def is_whole(self, status: int, body: bytes) -> bool:
        """Return whether an answer is all that the upstream said."""
        ended = b"[DONE]" in body if self._setting.stream else True
        return status == 200 and ended and LAST_WORD.encode() in body

    def on_answer(self, latency_s: float, *, whole: bool) -> bool:
        """Count an answer; return whether another is wanted."""
        if whole:
            self.burst.latencies_s.append(latency_s)
        else:
            self.burst.errors += 1
        return time.perf_counter() < self._until

    def on_rest(self) -> None:
        """A connection has nothing more to do."""
        self._busy -= 1
        if self._busy == 0:
            self._idle.set()


class _Connection(asyncio.Protocol):
    """Asks and reads, one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._asking = False
        self._began = 0.0
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._asking:
            self._rest(whole=False)

    def send(self) -> None:
        if self._transport.is_closing():
            self._rest(whole=False)
            return
        self._asking = True
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        request = self._load.next_request()
        self._began = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        self._asking = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        latency_s, self._asking = time.perf_counter() - self._began, False
        whole = self._load.is_whole(self._parser.get_status_code(), b"".join(self._body))
        if self._load.on_answer(latency_s, whole=whole):
            self.send()
        else:
            self._load.on_rest()

    def _rest(self, *, whole: bool) -> None:
        self._asking = False
        self._load.on_answer(0.0, whole=whole)
        self._load.on_rest()
