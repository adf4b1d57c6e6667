"""What an arm that fails costs its callers: how fast it loses its traffic, how long they wait, how soon it is back.

    python -m benchmarks.failing_arms [--ways refused 401 ...] [--users 4] [--outage 20] [--first-token-ms 50]

A router of its own for each way to fail, with an embedded Valkey and two arms: thumbs teach it that one is better,
until that has most of the traffic. Then the better one fails, for `--outage` seconds, and is well again. `--users` ask,
each one streamed request after the other. Printed for each way: the better arm's share of the traffic before; of the
calls to it, how many came while the first 20 requests were answered, and its share of the calls after them; what
callers got; times to the first token, as multiples of the median before: the five longest, the longest of the others,
and their 99th percentile; and after how many seconds of being well half of its share was back (of the last 20 answers).
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import yaml

from benchmarks.overhead import answers
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port

_WAYS = ("refused", "401", "503", "error", "html", "cut", "silent", "head")
_TAUGHT = 120  # requests before it fails
_RECENT = 20
_LONGEST_RECOVERY_S = 90.0
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
_WORD = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Well."}}]}\n\n'
_END = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
_ERROR = b'data: {"error":{"message":"out of memory","code":500}}\n\n'


class Server:
    """A model server that streams one word after a while, or fails in one way."""

    def __init__(self, port: int, first_token_s: float) -> None:
        self.calls = 0
        self.fails: str | None = None
        self._port, self._first_token_s = port, first_token_s
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def fail(self, way: str | None) -> None:
        """Fail that way from now on; None: no more."""
        self.fails = way
        if way == "refused" and self._server is not None:
            self._server.close()
        elif way is None and (self._server is None or not self._server.is_serving()):
            await self.listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
            self.calls += 1
            await self._answer(reader, writer)
            await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fails in ("401", "503"):
            writer.write(f"HTTP/1.1 {self.fails} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        elif self.fails == "html":
            writer.write(_HEAD.replace(b"event-stream", b"html") + b"<html>It works!</html>")
        elif self.fails == "error":
            writer.write(_HEAD + _ERROR)
        elif self.fails == "cut":
            writer.write(_HEAD)
        elif self.fails in ("silent", "head"):
            writer.write(_HEAD if self.fails == "head" else b"")
            await reader.read()  # until the router goes
        else:
            await asyncio.sleep(self._first_token_s)
            writer.write(_HEAD + _WORD + _END)


@dataclass
class Answers:
    """What callers got, in the order in which they asked."""

    first_s: list[tuple[str, float]] = field(default_factory=list)  # who answered, and the time to the first token
    statuses: Counter[str] = field(default_factory=Counter)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def share(self, arm: str) -> float:
        """Return an arm's share of the latest answers."""
        return self.recent.count(arm) / max(len(self.recent), 1)


class Users:
    """Ask one thing after the other, and say what they thought of the answer."""

    def __init__(self, url: str, count: int) -> None:
        self.answers = Answers()
        self._url, self._count = url, count
        self._number = 0
        self._answered = asyncio.Condition()

    async def until(self, is_true: Callable[[], bool], limit_s: float) -> bool:
        """Return whether something came true in time, as answers came."""
        try:
            async with asyncio.timeout(limit_s), self._answered:
                return await self._answered.wait_for(is_true)
        except TimeoutError:
            return False

    async def ask(self, until: asyncio.Event, *, teach: bool = False) -> None:
        """Ask until the event is set."""
        async with aiohttp.ClientSession(self._url) as http:
            await asyncio.gather(*(self._user(http, until, teach=teach) for _ in range(self._count)))

    async def _user(self, http: aiohttp.ClientSession, until: asyncio.Event, *, teach: bool) -> None:
        while not until.is_set():
            self._number += 1
            body = {
                "model": "auto-quality",
                "stream": True,
                "messages": [{"role": "user", "content": f"What is {self._number} and {self._number}?"}],
            }
            answers_so_far, started = self.answers, time.perf_counter()
            async with http.post("/v1/chat/completions", json=body) as response:
                first = await response.content.readany()
                seconds, text = time.perf_counter() - started, first + await response.read()
                arm, name = response.headers["x-highwayman-arm"], response.headers["x-highwayman-decision"]
            told = "ok" if response.status == 200 and b"[DONE]" in text else f"{response.status}, failed"
            answers_so_far.statuses[told] += 1
            answers_so_far.first_s.append((arm, seconds))
            answers_so_far.recent.append(arm)
            async with self._answered:
                self._answered.notify_all()
            if teach:
                good = self._number % 10 < (9 if arm == "better" else 3)
                async with http.post("/v1/feedback", json={"decision_id": name, "value": good}) as response:
                    await response.read()


async def measure(way: str, options: argparse.Namespace) -> None:
    """Start a router, have one of its arms fail, and print what came of it."""
    ports = {name: checked_port(0) for name in ("better", "other", "router")}
    servers = {name: Server(ports[name], options.first_token_ms / 1000) for name in ("better", "other")}
    url = f"http://127.0.0.1:{ports['router']}"
    arm = {"model": "m", "usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.1, "context_window_tokens": 10**5}
    arms = {name: {**arm, "endpoint": f"http://127.0.0.1:{ports[name]}"} for name in servers}
    with tempfile.TemporaryDirectory() as folder:
        pool, config = Path(folder) / "pool.yaml", Path(folder) / "highwayman.yaml"
        pool.write_text(yaml.safe_dump({"arms": arms}))
        config.write_text(yaml.safe_dump({"feedback": {"posts_per_s": 1e6}}))
        words = ["serve", f"--pool={pool}", f"--port={ports['router']}", f"--state-dir={folder}", f"--config={config}"]
        router = SupervisedProcess(
            "router",
            [sys.executable, "-m", "highwayman.serving.cli.main", *words],
            probe=lambda: answers(f"{url}/readyz"),
        )
        for server in servers.values():
            await server.listen()
        await router.start()
        try:
            await run(way, servers, Users(url, options.users), outage_s=options.outage)
        finally:
            await router.stop()


async def run(way: str, servers: dict[str, Server], users: Users, *, outage_s: float) -> None:
    """Teach, fail, be well again; print one line."""
    taught = asyncio.Event()
    asking = asyncio.create_task(users.ask(taught, teach=True))
    await users.until(
        lambda: len(users.answers.first_s) > _TAUGHT and users.answers.share("better") > 0.9, _LONGEST_RECOVERY_S
    )
    taught.set()
    await asking
    before = users.answers.share("better")
    usual_s = float(np.median([seconds for _, seconds in users.answers.first_s]))
    stop, better, other_calls = asyncio.Event(), servers["better"], servers["other"].calls
    users.answers = Answers()
    await better.fail(way)
    better.calls = 0
    asking = asyncio.create_task(users.ask(stop))
    await users.until(lambda: len(users.answers.first_s) >= _RECENT, outage_s)
    at_first = better.calls
    await asyncio.sleep(outage_s)
    failing, later_calls = users.answers, better.calls - at_first
    asked = servers["other"].calls - other_calls
    users.answers = Answers()
    await better.fail(None)
    well_at = time.perf_counter()
    is_back = await users.until(
        lambda: len(users.answers.recent) == _RECENT and users.answers.share("better") >= before / 2,
        _LONGEST_RECOVERY_S,
    )
    recovered_s = time.perf_counter() - well_at
    stop.set()
    await asking
    waits = sorted(seconds for _, seconds in failing.first_s)[:-5] or [0.0]
    worst = sorted((seconds for _, seconds in failing.first_s), reverse=True)[:5]
    print(
        f"{way:8} share before {before:4.0%} | calls among the first {_RECENT}: {at_first:2}, then "
        f"{later_calls / max(asked, 1):5.1%} of {asked} | {dict(failing.statuses)} | first token, in usual ones: "
        f"victims {' '.join(f'{seconds / usual_s:.1f}' for seconds in worst)}, then at most "
        f"{waits[-1] / usual_s:.1f}, p99 {np.quantile(waits, 0.99) / usual_s:.1f} | "
        f"back after {recovered_s:.0f} s" + ("" if is_back else " NOT BACK"),
        flush=True,
    )


async def run_all(options: argparse.Namespace) -> None:
    """Measure each way to fail."""
    for way in options.ways:
        await measure(way, options)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="*", default=list(_WAYS), choices=_WAYS)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--outage", type=float, default=20.0, help="seconds")
    parser.add_argument("--first-token-ms", type=float, default=50.0, help="of a server that is well")
    asyncio.run(run_all(parser.parse_args()))


if __name__ == "__main__":
    main()
