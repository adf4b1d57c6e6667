"""How long a version takes from the learner to a replica's requests: d = 64, 64 arms, a real Valkey.

    python -m benchmarks.publish [--versions 30] [--arms 64]

From the moment the learner begins to publish to the moment a router in another process would decide with it, here: a
`LivePolicy` in a thread of its own, with its own connections. Prints the median and the longest.
"""

import argparse
import asyncio
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import RewardChange
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.redis import connect
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
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


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=int, default=30)
    parser.add_argument("--arms", type=int, default=64)
    arguments = parser.parse_args()
    arms = [f"model-{k}" for k in range(arguments.arms)]
    with tempfile.TemporaryDirectory() as folder:
        taken, size = asyncio.run(measured(Path(folder), versions=arguments.versions, arms=arms))
    print(
        f"d={D}, {len(arms)} arms, {size / 1e6:.1f} MB, {len(taken)} versions: "
        f"median {statistics.median(taken):.3f} s, longest {max(taken):.3f} s"
    )


if __name__ == "__main__":
    main()
