"""What a call to a model server takes of the router's CPU, beside aiohttp's session and the least that Python can do.

    python -m benchmarks.calls [--at-once 16] [--calls 200] [--rounds 25]

The same request over kept connections, to a mock upstream in a process of its own: by `Connections`, as the router
calls; by an aiohttp session, as it did before; and by a bare protocol with httptools, which knows no limits, no TLS and
no connection that has been closed. Prints microseconds of processor time a call, interleaved: the median over the
rounds and its quartiles, and the ratio to the session's.
"""

import argparse
import asyncio
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import httptools
import uvloop

from highwayman.env.types import Arm
from highwayman.env.upstream.calls.connections import Connections

_BODY = b'{"model": "m", "messages": [{"role": "user", "content": "' + b"What is the capital of France? " * 8 + b'"}]}'
_ARM = Arm("m", ("http://127.0.0.1:1",), "m", None, None, 8192)
_PATH = "/v1/chat/completions"
Call = Callable[[], Awaitable[bytes]]


class _Bare(asyncio.Protocol):
    """One connection that is asked, and asked again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._whole.set_result(self._body)

    async def post(self, head: bytes) -> bytes:
        """Return what is answered."""
        self._parser, self._body = httptools.HttpResponseParser(self), b""
        self._whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(head + _BODY)
        return await self._whole


def _bare(port: int) -> Call:
    free: list[_Bare] = []
    lines = f"POST {_PATH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    head = f"{lines}content-length: {len(_BODY)}\r\n\r\n".encode()

    async def call() -> bytes:
        loop = asyncio.get_running_loop()
        connection = free.pop() if free else (await loop.create_connection(_Bare, "127.0.0.1", port))[1]
        answer = await connection.post(head)
        free.append(connection)
        return answer

    return call


async def _micros(call: Call, calls: int, at_once: int) -> float:
    """Return the processor time of a call, in microseconds."""
    left = iter(range(calls))

    async def client() -> None:
        for _ in left:
            if not (await call()).endswith(b"}"):
                raise RuntimeError("an answer was not whole")

    started = time.process_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return 1e6 * (time.process_time() - started) / calls


async def measure(port: int, options: argparse.Namespace) -> None:
    """Measure, and print."""
    url, connections = f"http://127.0.0.1:{port}{_PATH}", Connections(2.0)
    await connections.start()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def by_session() -> bytes:
            headers = {"content-type": "application/json"}
            response = await session.post(url, data=_BODY, headers=headers, allow_redirects=False)
            return await response.content.read()

        async def by_connections() -> bytes:
            return await (await connections.post(_ARM, url, _BODY)).content.read()

        ways: dict[str, Call] = {"aiohttp session": by_session, "router": by_connections, "bare": _bare(port)}
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds + 1):
            for name in random.sample(list(ways), len(ways)):
                taken[name].append(await _micros(ways[name], options.calls, options.at_once))
    await connections.close()
    print(f"{options.at_once} at once; us of processor time a call, median (quartiles) of {options.rounds} rounds")
    for name, values in taken.items():
        ratios = [mine / theirs for mine, theirs in zip(values, taken["aiohttp session"], strict=True)][1:]
        low, middle, high = statistics.quantiles(values[1:], n=4)
        print(f"{name:18}{middle:6.0f} ({low:.0f}-{high:.0f}){statistics.median(ratios):8.2f}")


async def main() -> None:
    """Parse the arguments, start the upstream, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("at-once", 16), ("calls", 200), ("rounds", 25)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.proxies.mock_upstream", str(port)]
    upstream = subprocess.Popen(command)  # noqa: ASYNC220, S603  (our own file)
    try:
        for _ in range(100):
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                break
            except OSError:
                await asyncio.sleep(0.05)
        await measure(port, options)
    finally:
        upstream.terminate()


if __name__ == "__main__":
    uvloop.run(main())
