"""What routing adds to a request: the same call direct and through the router, interleaved in one run.

    python benchmarks/overhead.py [--encoder static|onnx] [--requests 400] [--prompt-tokens 64]

One client on loopback, a keep-alive connection each way. The upstream is a real HTTP server in a process of its own
that answers at once, so what is left is the router: parsing, encoding, deciding, logging, passing on. Prompts never
repeat, so the encoder's cache does not help. Prints medians, the paired difference with a 95% bootstrap interval, and
the router's CPU time per request.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import numpy as np
from aiohttp import web

from highwayman.env.errors import StoreUnavailable
from highwayman.serving.processes.supervised_process import SupervisedProcess

_TICKS = os.sysconf("SC_CLK_TCK")


def upstream(port: int) -> None:
    """Serve OpenAI-shaped answers at once."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        message = {"role": "assistant", "content": "Paris is the capital of France."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
        return web.json_response(
            {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        )

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    app.router.add_get("/health", lambda _: web.Response())
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def prompt(rng: random.Random, tokens: int) -> str:
    """Return a prompt of about `tokens` word pieces that was never sent before."""
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    return " ".join("".join(rng.choices(letters[:14], k=rng.randint(2, 4))) for _ in range(tokens // 2))


async def measure(direct: str, routed: str, *, requests: int, tokens: int, router_pid: int) -> None:
    """Send the requests in pairs, in random order within the pair, and print what they took."""
    rng = random.Random(0)
    taken: dict[str, list[float]] = {"direct": [], "routed": []}
    async with aiohttp.ClientSession() as session:

        async def call(kind: str, text: str) -> float:
            base, model = (direct, "m") if kind == "direct" else (routed, "auto")
            body = {"model": model, "messages": [{"role": "user", "content": text}]}
            start = time.perf_counter()
            async with session.post(f"{base}/v1/chat/completions", json=body) as response:
                await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{kind} answered {response.status}")
            return time.perf_counter() - start

        for _ in range(50):
            await call("direct", prompt(rng, tokens))
            await call("routed", prompt(rng, tokens))
        cpu = cpu_seconds(router_pid)
        for _ in range(requests):
            text = prompt(rng, tokens)
            for kind in rng.sample(["direct", "routed"], 2):
                taken[kind].append(await call(kind, text))
        cpu = cpu_seconds(router_pid) - cpu
    report({kind: 1000 * np.array(times) for kind, times in taken.items()}, 1000 * cpu / requests)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process has used, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def report(ms: dict[str, np.ndarray], cpu_ms: float) -> None:
    """Print the table."""
    for kind, values in ms.items():
        print(f"{kind:>8}: median {np.median(values):6.2f} ms   p95 {np.quantile(values, 0.95):6.2f} ms")
    rng = np.random.default_rng(0)
    added = ms["routed"] - ms["direct"]
    medians = [np.median(rng.choice(added, len(added))) for _ in range(2000)]
    low, high = np.quantile(medians, [0.025, 0.975])
    print(f"   added: median {np.median(added):6.2f} ms   95% interval {low:.2f} to {high:.2f} ms")
    print(f"   ratio of medians {np.median(ms['routed']) / np.median(ms['direct']):.2f}")
    print(f"   router CPU {cpu_ms:.2f} ms per request")


async def answers(url: str) -> None:
    """Return if a server says it is well. Raises StoreUnavailable or OSError as long as it does not."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as response:
                if response.status != 200:
                    raise StoreUnavailable("not ready")
        except aiohttp.ClientError as error:
            raise OSError(str(error)) from error


async def run(arguments: argparse.Namespace) -> None:
    """Start the upstream and the router, measure, stop them."""

    direct, routed = "http://127.0.0.1:8797", "http://127.0.0.1:8796"
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder) / "pool.yaml"
        arm = (
            "{{endpoint: {url}, model: m, usd_per_mtok_in: {price}, usd_per_mtok_out: {price}, "
            "context_window_tokens: 8192}}"
        )
        arms = [f"  arm{k}: " + arm.format(url=direct, price=0.1 * (k + 1)) for k in range(arguments.arms)]
        pool.write_text("arms:\n" + "\n".join(arms) + "\n")
        servers = [
            SupervisedProcess(
                "upstream",
                [sys.executable, __file__, "--serve-upstream", "8797"],
                probe=lambda: answers(f"{direct}/health"),
            ),
            SupervisedProcess(
                "router",
                [*(sys.executable, "-m", "highwayman.serving.cli.main", "serve", "--pool", str(pool), "--port", "8796"),
                 *("--state-dir", folder, "--encoder", arguments.encoder)],
                probe=lambda: answers(f"{routed}/readyz"),
            ),
        ]  # fmt: skip
        try:
            for server in servers:
                await server.start()
            print(
                f"encoder {arguments.encoder}, {arguments.arms} arms, prompts of about {arguments.prompt_tokens} tokens"
            )
            await measure(
                direct,
                routed,
                requests=arguments.requests,
                tokens=arguments.prompt_tokens,
                router_pid=servers[1].pid,
            )
        finally:
            for server in reversed(servers):
                await server.stop()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="static")
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--arms", type=int, default=4)
    parser.add_argument("--serve-upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_upstream:
        upstream(arguments.serve_upstream)
    else:
        asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
