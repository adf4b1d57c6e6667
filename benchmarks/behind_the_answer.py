"""What a request costs behind its answer: decision and outcome written, then read, learned and scored by the guard.

    python -m benchmarks.behind_the_answer [--rate 800] [--seconds 6] [--rounds 3]

The shipped policy, 8 arms, no feedback, a real Valkey; learner, guard and journal as a router has them, on one event
loop. Prints microseconds of this process' CPU time, and of Valkey's, a request, what both take idle taken off.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvloop

from benchmarks.learner import ARMS, decision, outcome
from benchmarks.proxies.process_tree import cpu_s
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Arm, Decision, Outcome
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.writing.journal import DeliveryOutcome, Journal
from highwayman.serving.config.config import Config
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from highwayman.serving.state.learner_factory import LearnerFactory, warm_encoder

_TICK_S = 0.005
_SETTLE_S, _IDLE_S = 2.5, 1.5  # the guard publishes every two seconds
_UNDER_WAY = 16  # requests between a decision and its outcome


def refuse(what: DeliveryOutcome, kind: str) -> None:
    """Raise RuntimeError: nothing may leave the direct way."""
    raise RuntimeError(f"{kind}: {what}")


def requests(count: int, fingerprint: str, rng: np.random.Generator) -> list[tuple[Decision, Outcome]]:
    """Return decisions on features of an encoder, with their outcomes."""
    made = (decision(time.time_ns(), rng) for _ in range(count))
    made = [replace(each, context=replace(each.context, fingerprint=fingerprint)) for each in made]
    return [(each, outcome(each)) for each in made]


async def put(journal: Journal, pairs: Sequence[tuple[Decision, Outcome]], *, rate: float) -> None:
    """Put decisions, so many a second, and their outcomes a moment later."""
    begun, ended, began = 0, 0, time.perf_counter()
    while ended < len(pairs):
        due = int((time.perf_counter() - began) * rate)
        while begun < min(due, len(pairs)):
            journal.submit(pairs[begun][0])
            begun += 1
        while ended < (begun if due > len(pairs) else begun - _UNDER_WAY):
            journal.submit(pairs[ended][1], may_wait=True)
            ended += 1
        await asyncio.sleep(_TICK_S)


async def measured(folder: Path, arguments: argparse.Namespace, seed: int) -> tuple[float, float]:
    """Return microseconds a request of this process, and of Valkey."""
    valkey = EmbeddedValkey(folder / f"valkey-{seed}")
    await valkey.start()
    client, blocking = connect(valkey.url), connect(valkey.url, timeout_s=30.0)
    config = Config()
    arms = [Arm(name, (), "m", 0.1, 0.2, 8192) for name in ARMS]
    factory = LearnerFactory(config, arms, warm_encoder(config))
    journal = Journal(
        factory.store(client), [], writer="bench", clock=time.monotonic, patience_s=5.0, on_delivery_outcome=refuse
    )
    workers = factory.worker(blocking), *factory.contender_workers(blocking)
    tasks = [asyncio.create_task(work) for work in (journal.run(), *(worker.run() for worker in workers))]
    count = int(arguments.rate * arguments.seconds)
    pairs = requests(2 * count, factory.encoder.fingerprint, np.random.default_rng(seed))
    first, then = pairs[:count], pairs[count:]

    def clocks() -> tuple[float, float]:
        return time.process_time(), cpu_s(valkey.pid)[valkey.pid]

    try:
        await put(journal, first, rate=arguments.rate)
        await asyncio.sleep(_SETTLE_S)
        began = clocks()
        await asyncio.sleep(_IDLE_S)
        idle = [(now - before) / _IDLE_S for now, before in zip(clocks(), began, strict=True)]
        began, began_at = clocks(), time.perf_counter()
        await put(journal, then, rate=arguments.rate)
        await asyncio.sleep(_SETTLE_S)
        passed_s = time.perf_counter() - began_at
        taken = [now - before - passed_s * share for now, before, share in zip(clocks(), began, idle, strict=True)]
        return 1e6 * taken[0] / len(then), 1e6 * taken[1] / len(then)
    finally:
        for task in tasks:
            await cancel_and_wait(task)
        await client.aclose()
        await blocking.aclose()
        await valkey.stop()


def main() -> None:
    """Parse the arguments, run the rounds, print medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=800.0)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rounds = [runner.run(measured(Path(folder), arguments, seed)) for seed in range(arguments.rounds)]
    for name, values in zip(("journal, learner and guard", "Valkey"), zip(*rounds, strict=True), strict=True):
        print(f"{name:>27}: {statistics.median(values):6.1f} us a request ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
