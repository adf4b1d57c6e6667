"""Where the time of one plain request goes, with one client that asks one after the other: the clock at each step.

    python -m benchmarks.timeline [--requests 500]

A router of its own (8 arms, the shipped encoder and policy, its own Valkey) with a clock at some of its functions, and
a mock upstream in a process of its own that answers at once. Printed are the microseconds from each step to the next,
the median of requests with quartiles: what a client waits for, and what is done behind its answer.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp.client_proto import ResponseHandler

from benchmarks.overhead import answers, prompt, upstream
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.upstream.client import Upstream
from highwayman.serving.cli.main import main as run_router
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.completions.proxy import ProxiedCompletion
from highwayman.serving.completions.routing.router import Router
from highwayman.serving.http.protocol import LimitedHttpProtocol
from highwayman.serving.processes.supervised_process import SupervisedProcess

_UPSTREAM, _ROUTER = "http://127.0.0.1:8795", "http://127.0.0.1:8794"
_MARKS_FILE, _WARM_UP = "marks.json", 200
Clock = dict[str, int]  # by step, monotonic nanoseconds
_MARKS: list[tuple[str, int]] = []
_STEPS = (
    "sent",
    "head read",
    "parsed",
    "placed",
    "encoded",
    "decided",
    "asked",
    "answered",
    "logged",
    "written",
    "over",
)
_WHAT = {
    "head read": "client to router",
    "parsed": "body parsed and checked",
    "placed": "conversation, ids, tags",
    "encoded": "features",
    "decided": "arm drawn",
    "asked": "written upstream",
    "answered": "upstream answers, and it is read",
    "logged": "decision on the log, beyond that",
    "written": "answer written to the client",
    "over": "outcome counted (behind the answer)",
}

# Who tells of a step: a class, its method, the step, and whether that is before the method begins.
HOOKS: Sequence[tuple[type, str, str, bool]] = (
    (LimitedHttpProtocol, "on_headers_complete", "head read", False),
    (CompletionsEndpoint, "read", "parsed", False),
    (Router, "route", "placed", True),
    (Encoder, "encode", "encoded", False),
    (Router, "route", "decided", False),
    (ResponseHandler, "read", "asked", True),
    (Upstream, "open", "answered", False),
    (ProxiedCompletion, "_pass_on", "logged", True),
    (ProxiedCompletion, "_pass_on", "written", False),
    (ProxiedCompletion, "run", "over", False),
)


def _marked(owner: Any, name: str, step: str, *, before: bool = False) -> None:
    """Let a method note the clock when it has ended, or `before` it begins."""
    plain = getattr(owner, name)

    def mark() -> None:
        _MARKS.append((step, time.monotonic_ns()))

    def marked(*parts: Any, **more: Any) -> Any:
        if before:
            mark()
        result = plain(*parts, **more)
        if asyncio.iscoroutine(result) and not before:
            return finished(result)
        if not before:
            mark()
        return result

    async def finished(work: Any) -> Any:
        result = await work
        mark()
        return result

    setattr(owner, name, marked)


def serve(into: Path, arguments: list[str]) -> None:
    """Serve with a clock at the steps, and write what it showed at the end."""
    for owner, name, step, before in HOOKS:
        _marked(owner, name, step, before=before)
    sys.argv = ["highwayman", *arguments]
    try:
        run_router()
    finally:
        into.write_text(json.dumps(_MARKS))


async def ask(url: str, requests: int) -> list[Clock]:
    """Ask one after the other; return when each request was sent and its answer received, in nanoseconds."""
    rng, asked = random.Random(0), []
    async with aiohttp.ClientSession() as session:
        for _ in range(requests):
            body = {"model": "auto", "messages": [{"role": "user", "content": prompt(rng, 60)}]}
            sent = time.monotonic_ns()
            async with session.post(url + "/v1/chat/completions", json=body) as response:
                await response.read()
            asked.append({"sent": sent, "received": time.monotonic_ns()})
    return asked


def rows_of(asked: list[Clock], marks: list[tuple[str, int]]) -> list[Clock]:
    """Return the clock of each request at every step, of those that have been at all of them."""
    steps = iter(marks)
    mark = next(steps, None)
    for row in asked:  # what is done behind an answer may be done after it was received
        while mark is not None and (mark[1] <= row["received"] or mark[0] in ("written", "over")):
            if mark[1] >= row["sent"]:
                row[mark[0]] = mark[1]
            mark = next(steps, None)
    return [row for row in asked if all(step in row for step in _STEPS)]


def report(rows: list[Clock]) -> None:
    """Print the steps."""
    print(f"{len(rows)} requests, one after the other; microseconds: median (quartiles)")
    spans = [(_WHAT[step], before, step) for before, step in pairwise(_STEPS)]
    for what, begin, end in (*spans, ("from asking to the answer", "sent", "received")):
        micros = np.array([row[end] - row[begin] for row in rows]) / 1e3
        low, median, high = np.quantile(micros, [0.25, 0.5, 0.75])
        print(f"{what:<36}{median:8,.0f} ({low:,.0f}-{high:,.0f})")


async def run(folder: str, requests: int) -> list[Clock]:
    """Start everything, ask, stop it; return what the client saw."""
    pool = Path(folder) / "pool.yaml"
    arm = "{{endpoint: {url}, model: m, usd_per_mtok_in: {usd}, usd_per_mtok_out: {usd}, context_window_tokens: 8192}}"
    arms = [f"  arm{k}: " + arm.format(url=_UPSTREAM, usd=0.1 * (k + 1)) for k in range(8)]
    pool.write_text("arms:\n" + "\n".join(arms) + "\n")
    own = [sys.executable, "-m", "benchmarks.timeline"]
    options = ["--pool", str(pool), "--port", _ROUTER.rpartition(":")[2], "--state-dir", folder, "--encoder", "static"]
    servers = [
        SupervisedProcess(
            "upstream",
            [*own, "--upstream", _UPSTREAM.rpartition(":")[2]],
            probe=lambda: answers(f"{_UPSTREAM}/health"),
        ),
        SupervisedProcess(
            "router",
            [*own, "--serve", str(Path(folder) / _MARKS_FILE), "serve", *options],
            probe=lambda: answers(f"{_ROUTER}/readyz"),
        ),
    ]
    try:
        for server in servers:
            await server.start()
        await ask(_ROUTER, _WARM_UP)
        return await ask(_ROUTER, requests)
    finally:
        for server in reversed(servers):
            await server.stop()


def main() -> None:
    """Parse the arguments, run."""
    if "--serve" in sys.argv:
        serve(Path(sys.argv[2]), sys.argv[3:])
        return
    if "--upstream" in sys.argv:
        upstream(int(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=500)
    requests = parser.parse_args().requests
    with tempfile.TemporaryDirectory(prefix="timeline-") as folder:
        asked = asyncio.run(run(folder, requests))
        report(rows_of(asked, json.loads((Path(folder) / _MARKS_FILE).read_text())))


if __name__ == "__main__":
    main()
