"""How long a router lets others wait while it reads a large body, and what it answers to mutated ones.

    python -m benchmarks.bodies [--megabytes 0.9 4 16] [--mutants 20000] [--shape NAME]

A router with an embedded Valkey and an upstream that reads and answers, each in a process of its own. /healthz is
asked every 10 ms on a connection of its own while one body of each shape is sent; printed are the answer's status and
seconds, and the longest time between two answers of /healthz, less the pause. The first line is without a body: what
the machine itself makes one wait. Then bodies made of valid ones by a seeded mutator, 16 at a time; a 5xx fails.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections import Counter
from itertools import islice

import aiohttp

from benchmarks.body_shapes import SHAPES, mutated
from benchmarks.running import running

_PAUSE_S = 0.01
_CONNECTIONS = 16
_ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Well."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,"total_tokens":27}}'
)
_EVENTS = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{'
    b'"content":"Well."},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


async def serve_upstream(port: int) -> None:
    """Read whatever comes, and answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                left = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                streams = False
                while left:
                    part = await reader.read(min(left, 2**16))
                    if not part:
                        return
                    streams, left = streams or b'"stream":true' in part, left - len(part)
                kind, answer = (b"text/event-stream", _EVENTS) if streams else (b"application/json", _ANSWER)
                head_out = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(answer))
                writer.write(head_out + answer)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


async def longest_gap_s(url: str, until: "asyncio.Task[object]") -> float:
    """Return the longest time between two answers of /healthz, less the pause between them, until a task is done."""
    gap_s, last = 0.0, False
    async with aiohttp.ClientSession() as http:
        await (await http.get(f"{url}/healthz")).read()
        answered_at = time.perf_counter()
        while not last:
            last = until.done()
            await asyncio.sleep(_PAUSE_S)
            async with http.get(f"{url}/healthz") as response:
                await response.read()
            gap_s, answered_at = max(gap_s, time.perf_counter() - answered_at), time.perf_counter()
    return max(0.0, gap_s - _PAUSE_S)


async def send(url: str, body: bytes) -> tuple[int, float]:
    """Return the status of the answer to a body, and the seconds until it."""
    await asyncio.sleep(0.1)  # while the first answers of /healthz come
    began = time.perf_counter()
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=aiohttp.BytesPayload(body)) as response,
    ):
        await response.read()
    return response.status, time.perf_counter() - began


async def measure_gaps(url: str, sizes: list[float], only: str | None) -> float:
    """Print the longest gap for each shape and size; return the longest of all, in seconds."""
    idle_s = await longest_gap_s(url, asyncio.create_task(asyncio.sleep(2.0)))
    print(f"{'no body':51}   longest gap {1000 * idle_s:6.1f} ms")
    longest_s = 0.0
    for shape in SHAPES:
        for megabytes in sizes if only in (None, shape.name) else ():
            body = shape.make(int(megabytes * 2**20))
            sending = asyncio.create_task(send(url + shape.path, body))
            gap_s = await longest_gap_s(url, sending)
            status, seconds = sending.result()
            what = f"{shape.name:30} {megabytes:3g} MB {status:6} {seconds:6.2f}s"
            print(f"{what}   longest gap {1000 * gap_s:6.1f} ms", flush=True)
            longest_s = max(longest_s, gap_s)
    print(f"longest of all: {1000 * longest_s:.1f} ms")
    return longest_s


async def send_mutants(url: str, count: int) -> int:
    """Print how mutated bodies were answered; return how many with a 5xx."""
    statuses: Counter[int] = Counter()
    bodies = islice(mutated(random.Random(14)), count)

    async def send_some(http: aiohttp.ClientSession) -> None:
        for path, body in bodies:
            async with http.post(url + path, data=body) as response:
                await response.read()
                statuses[response.status] += 1
            if response.status >= 500:
                print(f"{response.status} {path} {body!r}")

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(send_some(http) for _ in range(_CONNECTIONS)))
    print(f"{count} mutated bodies: " + ", ".join(f"{status}: {n}" for status, n in sorted(statuses.items())))
    return sum(n for status, n in statuses.items() if status >= 500)


async def run(arguments: argparse.Namespace) -> None:
    """Start the upstream and the router, measure, stop them."""
    arms = {name: {"tools": True} for name in ("a", "b")}
    async with running("benchmarks.bodies", arms, {"feedback": {"posts_per_s": 1e6}}) as router:
        if arguments.megabytes:
            await measure_gaps(router.url, arguments.megabytes, arguments.shape)
        if arguments.mutants and await send_mutants(router.url, arguments.mutants):
            raise SystemExit("some were answered with a 5xx")


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, nargs="*", default=[0.9, 4, 16])
    parser.add_argument("--shape", help="only this one")
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--serve-upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    asyncio.run(serve_upstream(arguments.serve_upstream) if arguments.serve_upstream else run(arguments))


if __name__ == "__main__":
    main()
