"""How many posts of feedback a router takes, and how long each waits; then the same posts over and over.

    python -m benchmarks.feedback_posts [--rate 2000] [--seconds 10] [--workers 1]

A router, its learner (`highwayman learn`, at a lower priority) and an embedded Valkey, each in a process of its own,
beside this load generator. 3,000 decisions are made; then posts come at the rate, each about one of them by a person of
its own, over 32 connections. A post's time counts from when it was due, not from when a connection was free.

Then a storm of duplicates: 1,000 statements, each with an idempotency key, 20 times over; printed is how many answers
have feedback, and its weight, after the first time and after the last.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop

from benchmarks.overhead import answers, cpu_seconds
from highwayman.serving.processes.supervised_process import SupervisedProcess

_UPSTREAM, _ROUTER = 8797, 8796
_DECISIONS, _CONNECTIONS, _TICK_S = 3000, 32, 0.002


class _Connection(asyncio.Protocol):
    """Sends one post at a time, and takes the next that waits when it is answered."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._due = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._load.free.append(self)

    def data_received(self, data: bytes) -> None:
        head = data.find(b"HTTP/1.1 ")  # behind the body of an answer whose head came before, perhaps
        if head < 0:
            return
        self._load.taken.append(time.perf_counter() - self._due)
        status = data[head + 9 : head + 12].decode()
        self._load.statuses[status] = self._load.statuses.get(status, 0) + 1
        if len(self._load.taken) == self._load.wanted:
            self._load.done.set()
        if self._load.waiting:
            self.send(*self._load.waiting.popleft())
        else:
            self._load.free.append(self)

    def send(self, due: float, post: bytes) -> None:
        """Send a post that was due at a time."""
        self._due = due
        self._transport.write(post)


class Load:
    """Posts at a fixed rate, once."""

    def __init__(self) -> None:
        self.free: list[_Connection] = []
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.taken: list[float] = []
        self.statuses: dict[str, int] = {}
        self.wanted = 0
        self.done = asyncio.Event()

    async def open(self) -> None:
        """Connect."""
        for _ in range(_CONNECTIONS):
            await asyncio.get_running_loop().create_connection(lambda: _Connection(self), "127.0.0.1", _ROUTER)

    async def run(self, posts: list[bytes], rate: float) -> float:
        """Send the posts; return the seconds until the last was answered."""
        await self.open()
        self.wanted = len(posts)
        start, sent = time.perf_counter(), 0
        while sent < len(posts):
            due = min(len(posts), int((time.perf_counter() - start) * rate) + 1)
            for place in range(sent, due):
                at = start + place / rate
                if self.free:
                    self.free.pop().send(at, posts[place])
                else:
                    self.waiting.append((at, posts[place]))
            sent = due
            await asyncio.sleep(_TICK_S)
        await self.done.wait()
        return time.perf_counter() - start


def post(body: dict[str, Any]) -> bytes:
    """Return a whole request."""
    raw = json.dumps(body).encode()
    head = (
        f"POST /v1/feedback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


async def run(options: argparse.Namespace) -> None:
    """Start everything, post, print, stop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        children = _children(folder, options.workers)
        try:
            for process in children.values():
                await process.start()
            decisions = await _decisions()
            posts = [
                post({"decision_id": decisions[k % _DECISIONS], "value": bool(k & 1), "user": f"u{k}"})
                for k in range(int(options.rate * options.seconds))
            ]
            load, pids = Load(), _pids(folder, children)
            gc.collect()
            gc.freeze()
            before = {who: cpu_seconds(pid) for who, pid in pids.items()}
            seconds = await load.run(posts, options.rate)
            used = {who: cpu_seconds(pid) - before[who] for who, pid in pids.items()}
            _print(options, load, seconds, used)
            await _storm(decisions[:1000])
        finally:
            for process in reversed(list(children.values())):
                await process.stop()


async def _storm(decisions: list[str]) -> None:
    posts = [post({"decision_id": one, "value": False, "user": "storm", "idempotency_key": one}) for one in decisions]
    await Load().run(posts, 2000.0)
    once = await _settled()
    seconds = await Load().run(posts * 19, 4000.0)
    again = await _settled()
    print(f"1,000 statements once: {once}; 19 times more within {seconds:.1f} s: {again}; the same: {once == again}")


async def _settled() -> str:
    """Return what counts, once nothing more of it is learned."""
    seen, found = "", "-"
    while seen != found:
        seen = found
        await asyncio.sleep(3.0)
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{_ROUTER}/v1/policy") as response:
            arms = (await response.json())["arms"].values()
        quality = sum(arm["feedback"] * (arm["quality"] or 0.0) for arm in arms)
        found = f"{sum(arm['feedback'] for arm in arms)} answers with feedback, quality {quality:.6f} in all"
    return found


async def _decisions() -> list[str]:
    found = []
    async with aiohttp.ClientSession() as session:
        for k in range(_DECISIONS):
            body = {"model": "auto", "messages": [{"role": "user", "content": f"Question {k}"}]}
            async with session.post(f"http://127.0.0.1:{_ROUTER}/v1/chat/completions", json=body) as response:
                found.append(response.headers["x-highwayman-decision"])
    return found


def _children(folder: Path, workers: int) -> dict[str, SupervisedProcess]:
    pool = folder / "pool.yaml"
    arm = f"{{endpoint: 'http://127.0.0.1:{_UPSTREAM}', model: m, usd_per_mtok_in: 1, usd_per_mtok_out: 1,"
    pool.write_text("arms:\n" + "".join(f"  {name}: {arm} context_window_tokens: 8192}}\n" for name in "ab"))
    highwayman = [sys.executable, "-m", "highwayman.serving.cli.main"]
    place = ["--state-dir", str(folder), "--pool", str(pool)]
    serve = [
        "serve",
        "--no-learn",
        "--port",
        str(_ROUTER),
        *place,
        *(["--workers", str(workers)] if workers > 1 else []),
    ]
    upstream = [sys.executable, "-m", "benchmarks.overhead", "--serve-upstream", str(_UPSTREAM)]
    return {
        "upstream": SupervisedProcess(
            "upstream", upstream, probe=lambda: answers(f"http://127.0.0.1:{_UPSTREAM}/health")
        ),
        "router": SupervisedProcess(
            "router", [*highwayman, *serve], probe=lambda: answers(f"http://127.0.0.1:{_ROUTER}/readyz")
        ),
        "learner": SupervisedProcess("learner", ["nice", *highwayman, "learn", *place], probe=lambda: asyncio.sleep(0)),
    }


def _pids(folder: Path, children: dict[str, SupervisedProcess]) -> dict[str, int]:
    """Return the processes by what they are, workers of the router and the Valkey among them."""
    found = {
        "this generator": os.getpid(),
        **{who: process.pid for who, process in children.items() if who != "upstream"},
    }
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if b"--door" in words:
            found[f"worker {entry.name}"] = int(entry.name)
        elif b"valkey" in words.split(b"\0")[0]:
            found["valkey"] = int(entry.name)
    return found


def _print(options: argparse.Namespace, load: Load, seconds: float, used: dict[str, float]) -> None:
    ms = np.array(load.taken) * 1000
    print(
        f"{len(ms)} posts, {options.rate:g} a second wanted, {len(ms) / seconds:.0f} accepted; statuses {load.statuses}"
    )
    print(f"from when a post was due: p50 {np.median(ms):.1f} ms, p95 {np.quantile(ms, 0.95):.1f}, "
          f"p99 {np.quantile(ms, 0.99):.1f}, max {ms.max():.1f}")  # fmt: skip
    print("processor seconds per 1,000 posts: "
          + ", ".join(f"{who} {1000 * one / len(ms):.3f}" for who, one in used.items()))  # fmt: skip


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=2000.0, help="posts a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=1, help="router processes")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
