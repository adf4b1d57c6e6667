"""A way to Valkey that fails: between a process and the server, it resets connections, delays them, or holds them up.

PYTEST_DONT_REWRITE: there are no assertions here.
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, Self

_CHUNK = 1 << 16
_SWALLOWED_WITHIN_S = 2.0
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


class Act(Enum):
    """What becomes of a piece of traffic."""

    PASS = "passed"
    DROP = "dropped"  # not passed on, and the connection reset
    CUT = "cut"  # half of it passed on, and the connection reset
    SWALLOW = "swallowed"  # a request passed on, its answer awaited and thrown away, and the connection reset


class Conduct(Protocol):
    """How one connection is treated; may take its time."""

    async def request(self, data: bytes) -> Act:
        """Return what becomes of bytes on their way to the server."""

    async def reply(self, data: bytes) -> Act:
        """Return what becomes of bytes on their way back."""


class Honest:
    """Passes everything on."""

    async def request(self, data: bytes) -> Act:
        return Act.PASS

    async def reply(self, data: bytes) -> Act:
        return Act.PASS


class Resetting:
    """Resets a connection after a random number of bytes, now and then after a delay."""

    def __init__(self, rng: random.Random, *, most_bytes: int = 40_000) -> None:
        self._rng = rng
        self._left = {way: rng.randint(0, most_bytes) for way in ("request", "reply")}

    async def request(self, data: bytes) -> Act:
        if self._rng.random() < 0.01:
            await asyncio.sleep(self._rng.random() / 4)  # up to five times what a router waits for a write
        return self._act("request", data, (Act.DROP, Act.CUT, Act.SWALLOW, Act.SWALLOW))

    async def reply(self, data: bytes) -> Act:
        return self._act("reply", data, (Act.DROP, Act.CUT))

    def _act(self, way: str, data: bytes, acts: tuple[Act, ...]) -> Act:
        self._left[way] -= len(data)
        return Act.PASS if self._left[way] >= 0 else self._rng.choice(acts)


class Holding:
    """Holds up the first request that contains all words, and all else on its connection, until `release` is set."""

    def __init__(self, *words: bytes) -> None:
        self._words = words
        self.held = asyncio.Event()
        self.release = asyncio.Event()
        self.answers: list[bytes] = []  # what came back once it was released

    async def request(self, data: bytes) -> Act:
        if all(word in data for word in self._words) and not self.held.is_set():
            self.held.set()
            await self.release.wait()
        return Act.PASS

    async def reply(self, data: bytes) -> Act:
        if self.release.is_set():
            self.answers.append(data)
        return Act.PASS


class Proxy:
    """Listens on a loopback port as long as a context lasts, and connects to the server's socket."""

    def __init__(self, target: Path, conduct: Callable[[], Conduct] = Honest) -> None:
        """Take the server's socket, and what is asked for the conduct of each new connection."""
        self._target = target
        self._conduct = conduct
        self.counts: Counter[Act] = Counter()
        self._listener = socket.socket()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    async def __aenter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._start(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()
        self._listener.close()

    async def behave(self, conduct: Callable[[], Conduct] = Honest) -> None:
        """Reset all connections; those made from now on are treated in this way."""
        self._conduct = conduct
        await self._end()
        self._start(self._accept())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            self._start(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        client.setblocking(False)
        server = socket.socket(socket.AF_UNIX)
        server.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(server, str(self._target))
            await _Connection(client, server, self._conduct(), self.counts).run()
        except OSError:
            pass  # the server is away: so is the connection
        finally:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            client.close()
            server.close()


class _Connection:
    """Two sockets, and what passes between them."""

    def __init__(self, client: socket.socket, server: socket.socket, conduct: Conduct, counts: Counter[Act]) -> None:
        self._client, self._server = client, server
        self._conduct = conduct
        self._counts = counts
        self._swallowing = False

    async def run(self) -> None:
        """Pass on what comes until either side, or the conduct, ends it."""
        ways = {asyncio.create_task(self._requests()), asyncio.create_task(self._replies())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _requests(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._client, _CHUNK):
            act = await self._conduct.request(data)
            self._counts[act] += 1
            self._swallowing = act is Act.SWALLOW
            if act is not Act.DROP:
                await loop.sock_sendall(self._server, _part(act, data))
            if act is Act.SWALLOW:
                await asyncio.sleep(_SWALLOWED_WITHIN_S)  # the answer ends this
            if act is not Act.PASS:
                return

    async def _replies(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._server, _CHUNK):
            if self._swallowing:
                return
            act = await self._conduct.reply(data)
            self._counts[act] += 1
            if act is not Act.DROP:
                await loop.sock_sendall(self._client, _part(act, data))
            if act is not Act.PASS:
                return


def _part(act: Act, data: bytes) -> bytes:
    return data[: len(data) // 2] if act is Act.CUT else data
