"""What a streamed answer costs a router: CPU time per stream, by the number of its events and how they come.

    python -m benchmarks.streams [--checkout PATH ...] [--events 36 300] [--pause-ms 2 0] [--streams 200] [--rounds 5]

Each checkout's router runs with its own embedded Valkey; the first is this one, and the rounds take turns, so that all
of them see the same machine. The model server writes an event every `--pause-ms`, which makes each a network chunk of
its own; with a pause of 0 all of them come at once. Prints the median of the rounds' CPU times per stream, router and
Valkey together as /proc has them, the smallest and the largest round, and the ratio to the last checkout.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop
import yaml

from benchmarks.overhead import answers, cpu_seconds
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port

HERE = Path(__file__).resolve().parent.parent
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Case:
    """How the model server answers."""

    events: int
    pause_ms: float


def event_lines(count: int) -> list[bytes]:
    """Return a stream as vLLM writes it: a role, `count` words, a finish reason, usage where asked, [DONE]."""
    head = {"id": "chatcmpl-5f2c", "object": "chat.completion.chunk", "created": 1_766_000_000, "model": "m"}
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *({"content": " word"} for _ in range(count))]
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]} for delta in deltas
    ]
    end = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
    usage = {"prompt_tokens": 20, "total_tokens": 20 + count, "completion_tokens": count}
    chunks += [{**head, "choices": [end]}, {**head, "choices": [], "usage": usage}]
    return [b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n" for chunk in chunks] + [
        b"data: [DONE]\n\n"
    ]


class ModelServer(asyncio.Protocol):
    """Answers each request with the stream that its `max_tokens` and `seed` ask for: events, tenths of ms between."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request; answer it once its body is whole."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if head.startswith(b"GET"):
            self._received = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        elif separator and body.endswith(b"}"):
            self._received = b""
            request = json.loads(body)
            chunks = [b"%x\r\n%b\r\n" % (len(line), line) for line in event_lines(request["max_tokens"])]
            self._transport.write(_HEAD)
            if request["seed"]:
                self._write_next(itertools.chain(chunks, [b"0\r\n\r\n"]), request["seed"] / 10_000)
            else:
                self._transport.write(b"".join(chunks) + b"0\r\n\r\n")

    def _write_next(self, chunks: "itertools.chain[bytes]", pause_s: float) -> None:
        chunk = next(chunks, None)
        if chunk is not None and not self._transport.is_closing():
            self._transport.write(chunk)
            asyncio.get_running_loop().call_later(pause_s, self._write_next, chunks, pause_s)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(ModelServer, "", port)
    await server.serve_forever()


@dataclass(slots=True)
class RunningRouter:
    """One checkout's router, and what its rounds took (us)."""

    checkout: Path
    url: str
    process: SupervisedProcess
    sent: int = 0

    def cpu_s(self) -> float:
        """Return the CPU time of the router and its Valkey."""
        pids = [self.process.pid]
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(map(cpu_seconds, [*pids, *map(int, children)]))

    async def stream(self, http: aiohttp.ClientSession, case: Case) -> None:
        """Ask for one answer and read it. Raises RuntimeError where it is not whole."""
        self.sent += 1
        body = {
            **{"model": "auto", "stream": True, "max_tokens": case.events, "seed": round(case.pause_ms * 10)},
            "messages": [{"role": "user", "content": f"What is {self.sent} and {self.sent * 7}?"}],
        }
        async with http.post(f"{self.url}/v1/chat/completions", json=body) as response:
            text = await response.read()
        if response.status != 200 or text.count(b" word") != case.events or not text.endswith(b"data: [DONE]\n\n"):
            raise RuntimeError(f"{self.checkout}: {response.status}, {text[-200:]!r}")

    async def round_us(self, http: aiohttp.ClientSession, case: Case, *, streams: int, clients: int) -> float:
        """Return the CPU time per stream (us) of `streams` streams, `clients` of them at a time."""
        began, left = self.cpu_s(), itertools.count()

        async def client() -> None:
            while next(left) < streams:
                await self.stream(http, case)

        await asyncio.gather(*(client() for _ in range(clients)))
        return 1e6 * (self.cpu_s() - began) / streams


def write_pool(path: Path, endpoints: Sequence[str]) -> None:
    """Write a pool file with an arm at each of the endpoints."""
    arm = {"model": "m", "usd_per_mtok_in": 0.1, "context_window_tokens": 8192}
    arms = {f"arm{k}": {**arm, "endpoint": url, "usd_per_mtok_out": 0.1 * (k + 1)} for k, url in enumerate(endpoints)}
    path.write_text(yaml.safe_dump({"arms": arms}))


async def start_router(stack: AsyncExitStack, checkout: Path, endpoints: Sequence[str]) -> RunningRouter:
    """Start a checkout's router, with an arm at each of the endpoints; it ends with the stack."""
    port, state = checked_port(0), stack.enter_context(tempfile.TemporaryDirectory())
    write_pool(Path(state, "pool.yaml"), endpoints)
    words = ["serve", f"--pool={state}/pool.yaml", f"--port={port}", f"--state-dir={state}"]
    url = f"http://127.0.0.1:{port}"
    router = SupervisedProcess(
        f"router of {checkout}",
        [sys.executable, "-m", "highwayman.serving.cli.main", *words],
        probe=lambda: answers(f"{url}/readyz"),
        env={"PYTHONPATH": str(checkout / "src")},
    )
    await router.start()
    stack.push_async_callback(router.stop)
    return RunningRouter(checkout, url, router)


async def measure(options: argparse.Namespace) -> None:
    """Start everything, take turns, print."""
    upstream_port = checked_port(0)
    upstream = f"http://127.0.0.1:{upstream_port}"
    async with AsyncExitStack() as stack:
        server = SupervisedProcess(
            "model server",
            [sys.executable, "-m", "benchmarks.streams", "--serve-upstream", str(upstream_port)],
            probe=lambda: answers(f"{upstream}/health"),
        )
        await server.start()
        stack.push_async_callback(server.stop)
        routers = [await start_router(stack, path, [upstream] * options.arms) for path in options.checkout]
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        for case in (Case(events, pause) for events in options.events for pause in options.pause_ms):
            await report(routers, http, case, options)


async def report(
    routers: Sequence[RunningRouter], http: aiohttp.ClientSession, case: Case, options: argparse.Namespace
) -> None:
    """Measure one case and print its lines."""
    streams = max(options.streams * options.events[0] // case.events, options.clients)
    for router in routers:
        await router.round_us(http, case, streams=options.clients * 2, clients=options.clients)
    taken: dict[str, list[float]] = {router.url: [] for router in routers}
    for turn in range(options.rounds):
        for router in routers if turn % 2 else reversed(routers):
            us = await router.round_us(http, case, streams=streams, clients=options.clients)
            taken[router.url].append(us)
    last = statistics.median(taken[routers[-1].url])
    how = f"one every {case.pause_ms:g} ms" if case.pause_ms else "all at once"
    print(f"{case.events} events, {how}, {options.clients} clients, {options.rounds} rounds of {streams} streams")
    for router in routers:
        rounds = taken[router.url]
        middle = statistics.median(rounds)
        spread = f"{min(rounds):6.0f} to {max(rounds):6.0f}"
        print(f"  {router.checkout}: {middle:6.0f} us CPU a stream ({spread}), {middle / last:.2f}", flush=True)


def folder(path: str) -> Path:
    """Return a checkout's folder."""
    return Path(path).resolve()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkout", nargs="+", default=[HERE], type=folder, help="the last is what others are compared with"
    )
    parser.add_argument("--events", type=int, nargs="+", default=[36, 300])
    parser.add_argument("--pause-ms", type=float, nargs="+", default=[2.0, 0.0])
    parser.add_argument("--streams", type=int, default=200, help="of a round, of the shortest case")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--serve-upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    began = time.perf_counter()
    if arguments.serve_upstream:
        uvloop.run(serve(arguments.serve_upstream))
    else:
        asyncio.run(measure(arguments))
        print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
