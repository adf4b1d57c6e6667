"""What rules of privacy cost a plain request: CPU time with them and without, by turns in one router process.

    python -m benchmarks.privacy [--pairs 5000] [--prompt-tokens 60]

Both sides share one router: its Redis, its arms (a model server in a process of its own, which answers at once) and its
policy. Prompts never repeat, and hold nothing that a detector knows. Requests go by turns, one after the other, through
an endpoint that has rules and reads every request, and through one that has none; printed are the CPU microseconds of a
request, HTTP to the client not among them, and the ratio of the medians with its bootstrap standard error. Then the
detector's own time, by a text's length.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.overhead import answers, prompt
from highwayman.env.privacy.pattern_detector import PatternDetector
from highwayman.env.types import Arm
from highwayman.feedback.trust.principal import ANONYMOUS
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.completions.privacy.data_guard import DataGuard
from highwayman.serving.config.config import Config
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.disconnect import DISCONNECT, Disconnect
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port
from highwayman.serving.services import Services, build_services
from highwayman.serving.wiring.settings import Settings

_PATH, _WARM, _ARMS = "/v1/chat/completions", 300, 8
_RULES = {"classes": {"internal": ["default"], "personal": ["default"], "secret": []}}
_HEADERS = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"user-agent", b"bench")]


def endpoint(services: Services, guard: DataGuard | None) -> CompletionsEndpoint:
    """Return the running router's endpoint, with a guard or without."""
    limits = services.settings.config.limits
    return CompletionsEndpoint(
        services.router,
        services.proxy_dependencies,
        services.feedback.links,
        services.conversations,
        tags=services.tags,
        cascades=None,
        bodies=BodyReader(limits.body_limits(), patience_s=limits.body_s),
        body_limit_bytes=limits.body_bytes,
        guard=guard,
    )


async def ask(served: CompletionsEndpoint, text: str) -> None:
    """Send one request. Raises RuntimeError if it is not answered."""
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}]}).encode()
    told = {DISCONNECT: Disconnect()}
    scope = {"type": "http", "method": "POST", "path": _PATH, "headers": _HEADERS, "extensions": told}
    statuses = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.append(message.get("status", 200))

    await served(scope, receive, send, ANONYMOUS)
    if statuses[:1] != [200]:
        raise RuntimeError(f"a request came to {statuses[:1]}")


async def cpu_us(served: CompletionsEndpoint, text: str) -> float:
    """Return the CPU microseconds of one request, and of what its predecessor has left to do."""
    begun = time.process_time()
    await ask(served, text)
    return 1e6 * (time.process_time() - begun)


async def measure(services: Services, arguments: argparse.Namespace) -> None:
    """Print what requests take on either side."""
    rng, router, cleared = random.Random(0), services.router, services.router.encoder
    plain, guarded = endpoint(services, None), endpoint(services, services.guard)
    sides = {"no rules": (plain, services.encoder), "rules": (guarded, cleared)}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(arguments.pairs + _WARM):
        for name in rng.sample(list(sides), len(sides)):
            served, router.encoder = sides[name]
            us = await cpu_us(served, prompt(rng, arguments.prompt_tokens))
            if number >= _WARM:
                taken[name].append(us)
    without, with_rules = (np.array(taken[name]) for name in sides)
    rows = np.random.default_rng(0).integers(len(without), size=(1000, len(without)))
    ratios = np.median(with_rules[rows], axis=1) / np.median(without[rows], axis=1)
    print(f"{arguments.pairs:,} pairs of requests of {arguments.prompt_tokens} tokens, in random order within the pair")
    for name, us in taken.items():
        print(
            f"  {name:9} {np.median(us):7.1f} us of CPU, the median (a tenth took less than {np.quantile(us, 0.1):.1f})"
        )
    print(f"  ratio     {np.median(with_rules) / np.median(without):7.4f} ± {ratios.std():.4f}")


def detecting() -> None:
    """Print what the patterns take by themselves."""
    rng, detector = random.Random(1), PatternDetector()
    print("the detector alone, microseconds by tokens of the text")
    for tokens in (60, 600, 6_000):
        texts = [prompt(rng, tokens) for _ in range(200)]
        least = []
        for text in texts:
            begun = time.perf_counter()
            detector.detect(text)
            least.append(1e6 * (time.perf_counter() - begun))
        print(f"  {tokens:6,} {np.median(least):9.1f}")


async def run(arguments: argparse.Namespace) -> None:
    """Start everything, measure, and stop it."""
    port = checked_port(0)
    command = [sys.executable, "-m", "benchmarks.overhead", "--serve-upstream", str(port)]
    upstream = SupervisedProcess("upstream", command, probe=lambda: answers(f"http://127.0.0.1:{port}/health"))
    await upstream.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            valkey = EmbeddedValkey(Path(folder))
            await valkey.start()
            arms = tuple(Arm(f"arm{k}", (f"http://127.0.0.1:{port}",), "m", 0.1, 0.1, 8192) for k in range(_ARMS))
            config = Config.model_validate({"privacy": _RULES, "limits": {"redis_s": 5.0}})
            settings = Settings(arms, valkey.url, config, learn=False, seed=0, state=Path(folder) / "state")
            try:
                async with build_services(settings) as services:
                    await measure(services, arguments)
            finally:
                await valkey.stop()
    finally:
        await upstream.stop()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5_000)
    parser.add_argument("--prompt-tokens", type=int, default=60)
    uvloop.run(run(parser.parse_args()))
    detecting()


if __name__ == "__main__":
    main()
