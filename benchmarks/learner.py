"""How fast one learner folds the log: a real Valkey, d = 64, 8 arms; decisions and outcomes first, then feedback.

    python -m benchmarks.learner [--decisions 20000] [--feedback 40000] [--rounds 3]

Every feedback speaks of a decision at random, so a part of it flips what was said before. Prints events a second of
wall time, and of the learner's CPU time, for each stretch of the log; publishing as in production is part of it.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.env.reward import DEFAULT_SPEC
from highwayman.env.types import Context, Decision, Feedback, Outcome, Status
from highwayman.feedback.fold.learner import Learner
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.learning.session import LearnerDependencies, LearnerSession
from highwayman.feedback.learning.version_history import VersionHistory
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey

D, ARMS = 64, tuple(f"model-{k}-instruct" for k in range(8))
_PUBLISH_EVERY_S = 0.15


def decision(number: int, rng: np.random.Generator) -> Decision:
    """Return a decision as a router with the shipped encoder writes it."""
    features = rng.standard_normal(D).astype(np.float32).astype(np.float64)
    features[-1] = 1.0
    action = int(rng.integers(len(ARMS)))
    context = Context(features, "static-240-d1c4ea71/pca-32-d93ddbd2/n1", 64)
    probs = np.full(len(ARMS), 1 / len(ARMS))
    return Decision(
        id=f"hw-{number:028}", tenant="default", at=time.time(), context=context, arms=ARMS,
        penalties=rng.random(len(ARMS)), probs=probs, action=action, propensity=float(probs[action]),
        policy="LinTS", policy_version=12, objective="auto",
    )  # fmt: skip


def outcome(made: Decision) -> Outcome:
    """Return the outcome of an ordinary call."""
    return Outcome(made.id, time.time(), made.arm, Status.OK, 64, 80, 120, 0.0002, 0.1, 1.4, "stop")


async def filled(store: Store, *, decisions: int, feedback: int, rng: np.random.Generator) -> None:
    """Put decisions with their outcomes on the log, then feedback."""
    made = [decision(number, rng) for number in range(decisions)]
    for start in range(0, decisions, 250):
        part = made[start : start + 250]
        await store.put_all([event for one in part for event in (one, outcome(one))])
    statement = [
        Feedback(f"f{number}", made[int(rng.integers(decisions))].id, time.time(), "user", "thumbs",
                 float(rng.integers(2)))
        for number in range(feedback)
    ]  # fmt: skip
    for start in range(0, feedback, 500):
        await store.put_all(statement[start : start + 500])


async def folded(turn: LearnerSession, events: int) -> tuple[float, float]:
    """Fold so many events, publishing now and then; return seconds of wall time and of CPU time."""
    began, cpu, published_at = time.perf_counter(), time.process_time(), 0.0
    while events > 0:
        events -= await turn.advance(count=min(1000, events), block_s=1.0)
        if time.perf_counter() - published_at > _PUBLISH_EVERY_S:
            await turn.publish()
            published_at = time.perf_counter()
    await turn.publish()
    return time.perf_counter() - began, time.process_time() - cpu


async def round_of(folder: Path, arguments: argparse.Namespace, seed: int) -> tuple[float, ...]:
    """Return events a second: decisions and outcomes by wall and CPU time, feedback by wall and CPU time."""
    valkey = EmbeddedValkey(folder / f"valkey-{seed}")
    await valkey.start()
    client = connect(valkey.url, timeout_s=30.0)
    try:
        store, publications = Store(client, "bench"), Publications(client, "bench", "bench")
        rng = np.random.default_rng(seed)
        await filled(store, decisions=arguments.decisions, feedback=arguments.feedback, rng=rng)

        def learner() -> Learner:
            return Learner(LinTS(d=D, fingerprint="static-240-d1c4ea71/pca-32-d93ddbd2/n1"), DEFAULT_SPEC,
                           fingerprint="static-240-d1c4ea71/pca-32-d93ddbd2/n1", arms=ARMS)  # fmt: skip

        epoch = await publications.acquire("bench", hold_s=3600)
        parts = LearnerDependencies(store, publications, VersionHistory(client, "bench", "bench"), learner)
        turn = LearnerSession(parts, holder="bench", epoch=epoch or "", wall=time.time)
        await turn.start()
        first = await folded(turn, 2 * arguments.decisions)
        second = await folded(turn, arguments.feedback)
        if turn.learner.tally.totals().decisions != arguments.decisions:
            raise RuntimeError("not everything was folded")
        return tuple(2 * arguments.decisions / s for s in first) + tuple(arguments.feedback / s for s in second)
    finally:
        await client.aclose()
        await valkey.stop()


def main() -> None:
    """Parse the arguments, run the rounds, print medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--feedback", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = [asyncio.run(round_of(Path(folder), arguments, seed)) for seed in range(arguments.rounds)]
    print(f"{os.cpu_count()} cores, d={D}, {len(ARMS)} arms, {arguments.rounds} rounds: median (least to most)")
    names = "decisions and outcomes, a second", "  per CPU second", "feedback, a second", "  per CPU second"
    for name, values in zip(names, zip(*rounds, strict=True), strict=True):
        print(f"{name:>32}: {statistics.median(values):8,.0f} ({min(values):,.0f} to {max(values):,.0f})")


if __name__ == "__main__":
    main()
