"""How long a version takes from the learner to a replica's requests, and what publishing costs: 64 arms, a real Valkey.

    python -m benchmarks.publish [--versions 30] [--arms 64]
    python -m benchmarks.publish --cpu [--checkout PATH ...] [--seconds 20] [--rounds 3]

From the moment the learner begins to publish to the moment a router in another process would decide with it, here: a
`LivePolicy` in a thread of its own, with its own connections. Prints the median and the longest.

With `--cpu`, the share of a core that a router and its Valkey take: idle, and at ten requests a second without any
feedback, each arm at an address of its own. The routers of several checkouts take turns.
"""

import argparse
import asyncio
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import numpy as np

from benchmarks.overhead import answers
from benchmarks.streams import HERE, Case, RunningRouter, folder, start_router
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import RewardChange
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.processes.supervised_process import SupervisedProcess, checked_port
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState

D = 64


async def replica(
    url: str, folder: Path, arms: list[str], *, tell: Callable[[int, float], None], stop: threading.Event
) -> None:
    """Follow versions until `stop`; `on_version` hears of each."""
    client = connect(url)
    live = LivePolicy(
        Publications(client, "bench", "bench"),
        lambda: LinTS(d=D, fingerprint="f"),
        arms,
        cache=LocalState(folder, "bench", "bench"),
        clock=time.time,
        on_version=tell,
    )
    following = asyncio.create_task(live.run())
    await asyncio.to_thread(stop.wait)
    await cancel_and_wait(following)
    await client.aclose()


async def measured(folder: Path, *, versions: int, arms: list[str]) -> tuple[list[float], int]:
    """Return the seconds each version took, and a version's size in bytes."""
    valkey = EmbeddedValkey(folder / "valkey")
    await valkey.start()
    stop, seen = threading.Event(), queue.SimpleQueue[tuple[int, float]]()

    def tell(version: int, _: float) -> None:
        seen.put((version, time.perf_counter()))

    def follow() -> None:
        asyncio.run(replica(valkey.url, folder / "state", arms, tell=tell, stop=stop))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    client = connect(valkey.url)
    publications = Publications(client, "bench", "bench")
    policy, rng, taken = LinTS(d=D, fingerprint="f"), np.random.default_rng(0), []
    learner = Learner(policy, DEFAULT_SPEC, fingerprint="f", arms=arms)
    epoch = await publications.acquire("bench", hold_s=3600)
    for _ in range(versions):
        policy.learn([RewardChange(arm, rng.standard_normal(D), 1.0, 0.5, 0.25) for arm in arms])
        began = time.perf_counter()
        snapshot = learner.snapshot()
        version = await publications.publish(snapshot, epoch=epoch or "", holder="bench", at=time.time())
        arrived, at = await asyncio.to_thread(seen.get)
        while arrived != version:
            arrived, at = await asyncio.to_thread(seen.get)
        taken.append(at - began)
    stop.set()
    await asyncio.to_thread(follower.join)
    await client.aclose()
    await valkey.stop()
    return taken, len(snapshot.policy)


async def cpu_shares(arguments: argparse.Namespace) -> None:
    """Measure the routers of the checkouts in turn, and print their shares of a core."""
    port = checked_port(0)
    async with AsyncExitStack() as stack:
        server = SupervisedProcess(
            "model server",
            [sys.executable, "-m", "benchmarks.streams", "--serve-upstream", str(port)],
            probe=lambda: answers(f"http://127.0.0.1:{port}/health"),
        )
        await server.start()
        stack.push_async_callback(server.stop)
        endpoints = [f"http://127.0.0.{k + 1}:{port}" for k in range(arguments.arms)]
        routers = [await start_router(stack, path, endpoints) for path in arguments.checkout]
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await asyncio.gather(*(served(router, http, 10.0, seconds=5.0) for router in routers))  # all is loaded
        for rate in (0.0, 10.0):
            shares: dict[str, list[float]] = {router.url: [] for router in routers}
            for _ in range(arguments.rounds):
                for router in routers:
                    began = router.cpu_s()
                    await served(router, http, rate, seconds=arguments.seconds)
                    shares[router.url].append(100 * (router.cpu_s() - began) / arguments.seconds)
            for router in routers:
                share = shares[router.url]
                print(
                    f"{arguments.arms} arms, {rate:g} requests a second, {router.checkout}: "
                    f"{statistics.median(share):.2f}% of a core ({min(share):.2f} to {max(share):.2f})",
                    flush=True,
                )


async def served(router: RunningRouter, http: aiohttp.ClientSession, rate: float, *, seconds: float) -> None:
    """Send a router `rate` requests a second, for so many seconds."""
    until = time.perf_counter() + seconds
    async with asyncio.TaskGroup() as group:
        while (left_s := until - time.perf_counter()) > 0:
            if rate:
                group.create_task(router.stream(http, Case(events=1, pause_ms=0.0)))
            await asyncio.sleep(min(1 / rate, left_s) if rate else left_s)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=30)
    parser.add_argument("--arms", type=int, default=64)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--checkout", nargs="+", default=[HERE], type=folder)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.cpu:
        asyncio.run(cpu_shares(arguments))
        return
    arms = [f"model-{k}" for k in range(arguments.arms)]
    with tempfile.TemporaryDirectory() as state:
        taken, size = asyncio.run(measured(Path(state), versions=arguments.versions, arms=arms))
    print(
        f"d={D}, {len(arms)} arms, {size / 1e6:.1f} MB, {len(taken)} versions: "
        f"median {statistics.median(taken):.3f} s, longest {max(taken):.3f} s"
    )


if __name__ == "__main__":
    main()
