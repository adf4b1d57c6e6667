"""What the log costs: milliseconds for each of a request's writes, and Redis' memory for each decision that is kept.

    python -m benchmarks.log [--requests 2000] [--decisions 20000]

A real Valkey, d = 64, 8 arms. Writes go through the journal one after another, as for a single user; the first of the
three is waited for before the first byte, beside the upstream call. Memory is what Valkey says it uses.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import redis.asyncio as aioredis
import uvloop

from benchmarks.learner import ARMS, D, decision, outcome
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Feedback
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey

_BATCH = 250


async def writes(client: "aioredis.Redis", folder: Path, requests: int) -> None:
    """Print what a request's writes take."""
    journal = Journal(
        Store(client, "writes"),
        claim_spools(folder / "spools", limit_bytes=1 << 20),
        writer="bench",
        clock=time.monotonic,
        patience_s=5.0,
        on_delivery_outcome=lambda delivery, kind: None,
    )
    running = asyncio.create_task(journal.run())
    rng = np.random.default_rng(0)
    taken: dict[str, list[float]] = {"decision": [], "outcome": [], "feedback": []}
    cpu = 0.0
    for number in range(requests + 100):
        made = decision(number, rng)
        feedback = Feedback(f"f{number}", made.id, time.time(), "user", "thumbs", 1.0)
        for name, event in (("decision", made), ("outcome", outcome(made)), ("feedback", feedback)):
            began, began_cpu = time.perf_counter(), time.process_time()
            await journal.put(event)
            if number >= 100:
                taken[name].append(1000 * (time.perf_counter() - began))
                cpu += time.process_time() - began_cpu
    await cancel_and_wait(running)
    sums = [sum(three) for three in zip(*taken.values(), strict=True)]
    print(f"writes of one request, d={D}, {len(ARMS)} arms, {requests} requests, one after another: median (p95)")
    for name, values in {**taken, "all three": sums}.items():
        print(f"{name:>12}: {statistics.median(values):.2f} ms ({np.quantile(values, 0.95):.2f})")
    print(f"{'router CPU':>12}: {1000 * cpu / requests:.2f} ms")


async def memory(client: "aioredis.Redis", decisions: int) -> None:
    """Print what a kept decision takes."""
    store, rng = Store(client, "memory"), np.random.default_rng(1)
    made = [decision(number, rng) for number in range(decisions)]
    feedback = [Feedback(f"f{n:010}-abcd", one.id, time.time(), "user", "thumbs", 1.0) for n, one in enumerate(made)]
    used = await _used(client)
    print(f"Redis' memory for each of {decisions} decisions kept, d={D}, {len(ARMS)} arms")
    steps: list[tuple[str, Callable[[int], Awaitable[object]]]] = [
        ("decision", lambda k: store.put_all(made[k : k + _BATCH])),
        ("+ outcome", lambda k: store.put_all([outcome(one) for one in made[k : k + _BATCH]])),
        ("+ a thumb", lambda k: store.put_all(feedback[k : k + _BATCH])),
    ]
    each = []
    for name, put in steps:
        for k in range(0, decisions, _BATCH):
            await put(k)
        each.append((await _used(client) - used) / decisions)
        print(f"{name:>12}: {each[-1]:.0f} bytes in all")
    for k in range(0, decisions, _BATCH):
        await client.delete(*(store.keys("d", one.id) for one in made[k : k + _BATCH]))
    log = (await _used(client) - used) / decisions
    print(f"{'of which log':>12}: {log:.0f} bytes")
    sizing(log, each[-1] - log)


def sizing(log: float, record: float) -> None:
    """Print gigabytes by traffic, for answers that all get a thumb; a record outlives its window by a day."""
    print("requests a day   window   on the log   gigabytes")
    for requests in (10_000, 100_000, 1_000_000):
        for window, kept in ((1, 2), (7, 8), (7, 30)):
            size = requests * (kept * log + (window + 1) * record) / 1e9
            print(f"{requests:>14,} {window:>5} days {kept:>7} days {size:>11.2f}")


async def _used(client: "aioredis.Redis") -> int:
    found = await client.info("memory")
    return int(found["used_memory"])


async def run(arguments: argparse.Namespace) -> None:
    """Start a Valkey, measure, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder) / "valkey")
        await valkey.start()
        client = connect(valkey.url)
        try:
            await writes(client, Path(folder), arguments.requests)
            await memory(client, arguments.decisions)
        finally:
            await client.aclose()
            await valkey.stop()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--decisions", type=int, default=20_000)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
