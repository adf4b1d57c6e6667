"""What a decision costs: everything between a prompt's features and the decision that is logged, at 2, 8 and 64 arms.

    python -m benchmarks.deciding [--arms 2,8,64] [--requests 1500] [--rounds 3] [--beside CHECKOUT]

The router's own parts, with a policy that has learned 2,000 rounds and a tally of as many calls; nothing is encoded,
logged or called. Prints microseconds of processor time, the median of requests, and the least and largest of the
rounds: for the whole way (`route`, of an encoder that has the features already), and for parts of it, each called by
itself. With `--beside`, another checkout's `route` is measured between the rounds, in a process of its own.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from threadpoolctl import threadpool_limits

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.policies.hier_ts import HierTS
from highwayman.env.cost.budget import SpendLimits
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import Arm, Context, Decision, Floats, Mode, Outcome, Query, RewardChange, Status
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.completions.routing.call_funds import CallFunds
from highwayman.serving.completions.routing.decision_records import DecisionRecords
from highwayman.serving.completions.routing.router import Router
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from highwayman.serving.config.config import Config
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.state.pool_objectives import PoolObjectives

D, LEARNED, FINGERPRINT = 64, 2_000, "static-240-d1c4ea71/pca-32-d93ddbd2/n1"
QUERY = Query(text="What is the capital of France?", prompt_chars=30)
Micros = dict[str, float]


class EncodedAlready:
    """Stands in for the encoder: gives contexts in turn."""

    def __init__(self, contexts: list[Context]) -> None:
        self._contexts, self._place = contexts, 0

    async def encode(self, query: Query) -> Context:
        """Return the next context."""
        self._place = (self._place + 1) % len(self._contexts)
        return self._contexts[self._place]


def pool_of(count: int) -> list[Arm]:
    """Return so many arms, each ten percent dearer than the one before, with a server of its own."""
    return [
        Arm(f"model-{k}-instruct", (f"http://10.0.0.{k}:8000",), f"m{k}", 0.1 * 1.1**k, 0.3 * 1.1**k, 32_768)
        for k in range(count)
    ]


def contexts_of(count: int, rng: np.random.Generator) -> list[Context]:
    """Return contexts as the shipped encoder has them in length and scale."""
    features = (rng.standard_normal((count, D)) / 6.0).astype(np.float32).astype(np.float64)
    features[:, -1] = 1.0
    return [Context(row, FINGERPRINT, 64) for row in features]


def taught(router: Router, arms: list[Arm], rng: np.random.Generator) -> None:
    """Teach the policy rewards, and the tally what calls took."""
    tally = router.live.tally
    for number, context in enumerate(contexts_of(LEARNED, rng)):
        arm = arms[int(rng.integers(len(arms)))].name
        value = float(rng.random() < 0.5 + 0.3 * context.features[0])
        router.live.policy.learn([RewardChange(arm, context.features, 1.0, value, value)])
        tokens_out, seconds = int(rng.lognormal(5.0, 0.5)), float(rng.lognormal(0.0, 0.4))
        decision = Decision(
            str(number), "default", time.time(), context, (arm,), np.zeros(1), np.ones(1), 0, 1.0, "HierTS", 0, "auto",
            Mode.ROUTE,
        )  # fmt: skip
        outcome = Outcome(str(number), time.time(), arm, Status.OK, 64, 80, tokens_out, 0.0002, 0.2, seconds, "stop")
        tally.on_outcome(outcome)
        tally.on_prompt_read(decision, outcome)
        tally.amounts.on_answer(decision, outcome)


def router_of(arms: list[Arm], folder: Path, seed: int) -> tuple[Router, list[Context]]:
    """Return a router as `highwayman serve` builds it by default, taught, and contexts to ask it about."""
    config, rng = Config(), np.random.default_rng(seed)
    live = LivePolicy(
        Publications(connect("redis://127.0.0.1:1"), "nowhere", "none"),
        lambda: HierTS(d=D, fingerprint=FINGERPRINT),
        [arm.name for arm in arms],
        cache=LocalState(folder, "nowhere", "none"),
        clock=time.time,
    )
    live.tally = Tally()
    ids = DecisionIds([b"secret"], secrets.token_bytes, time.time)
    asked = contexts_of(500, rng)
    router = Router(
        pool=Pool(arms, EndpointHealth(time.monotonic)),
        encoder=cast(Encoder, EncodedAlready(asked)),
        live=live,
        policy_name="HierTS",
        objectives=PoolObjectives(config, arms, {}),
        rules=ExplorationRules(
            config.policy.floor, config.trial.quota(), config.exploration.cap(), floor_loss=config.policy.floor_loss
        ),
        clock=time.time,
        rng=rng,
        records=DecisionRecords(ids.issue, ids.pseudonym),
        funds=CallFunds(SpendTracker(SpendLimits(), time.time)),
    )
    taught(router, arms, rng)
    return router, asked


def micros(work: Callable[[int], object], n: int) -> float:
    """Return the median processor time of a call, in microseconds."""
    times = np.empty(n)
    for t in range(n):
        started = time.process_time_ns()
        work(t)
        times[t] = time.process_time_ns() - started
    return float(np.median(times)) / 1e3


async def routes(router: Router, n: int) -> float:
    """Return the median microseconds of the whole way."""
    times = np.empty(n)
    for t in range(n):
        started = time.process_time_ns()
        route = await router.route("auto", QUERY)
        times[t] = time.process_time_ns() - started
        decision = route.decision
        router.funds.spend_tracker.on_outcome(
            Outcome(decision.id, decision.at, decision.arm, Status.OK, 64, 80, 150, 0.0002, 0.2, 1.0, "stop")
        )
    return float(np.median(times)) / 1e3


def parts(router: Router, asked: list[Context], n: int) -> Micros:
    """Return what parts take, each called by itself."""
    pool, tally, policy, rules = router.pool, router.live.tally, router.live.policy, router.rules
    names = tuple(pool.arms)
    free = np.zeros(len(names))
    beliefs = cast(Any, policy).posterior
    quality: list[tuple[Floats, Floats]] = [
        cast(HierTS, policy).quality_and_deviation(context.features, names) for context in asked
    ]
    return {
        "eligible": micros(lambda t: pool.eligible(QUERY, router._prompt_tokens(asked[t % 500])), n),
        "expected answers": micros(lambda t: tally.amounts.expected(asked[t % 500].features, names), n),
        "mean and deviation": micros(lambda t: beliefs.mean_and_std(asked[t % 500].features, names), n),
        "probabilities": micros(lambda t: policy.probs(asked[t % 500], names, free), n),
        "floor": micros(lambda t: rules.floor_by(*quality[t % 500], free), n),
    }


def measured(arms: int, requests: int, seed: int) -> Micros:
    """Return the whole way's time, and its parts'."""
    with tempfile.TemporaryDirectory() as folder:
        router, asked = router_of(pool_of(arms), Path(folder), seed)
        asyncio.run(routes(router, 200))  # warm
        whole = asyncio.run(routes(router, requests))
        return {"route": whole, **parts(router, asked, requests // 3)}


def measured_beside(checkout: str, arms: int, requests: int, seed: int) -> float:
    """Return another checkout's time of the whole way: by its own file of this name, as it builds its router."""
    script = Path(checkout).resolve() / "benchmarks" / "deciding.py"
    command = [sys.executable, str(script), "--arms", str(arms), "--requests", str(requests)]
    env = {**os.environ, "PYTHONPATH": str(script.parents[1] / "src")}
    done = subprocess.run(  # noqa: S603  (our own file)
        [*command, "--seed", str(seed)], check=True, capture_output=True, text=True, env=env
    )
    return float(json.loads(done.stdout)["route"])


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", default="2,8,64")
    parser.add_argument("--requests", type=int, default=1_500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", metavar="CHECKOUT")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)  # one round, as JSON
    options = parser.parse_args()
    if options.seed is not None:
        print(json.dumps(measured(int(options.arms), options.requests, options.seed)))
        return
    print(f"us of processor time a decision, median of {options.requests}, [least, largest] of {options.rounds} rounds")
    for arms in map(int, options.arms.split(",")):
        rows: dict[str, list[float]] = {}
        for seed in range(options.rounds):
            for part, taken in measured(arms, options.requests, seed).items():
                rows.setdefault(part, []).append(taken)
            if options.beside:
                rows.setdefault(f"route in {options.beside}", []).append(
                    measured_beside(options.beside, arms, options.requests, seed)
                )
        print(f"{arms} arms")
        for part, taken in rows.items():
            print(f"  {part:32}{statistics.median(taken):8.1f} [{min(taken):.1f}, {max(taken):.1f}]")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
