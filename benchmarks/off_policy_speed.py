"""How long off-policy estimates take on one core, beside obp 0.5.7 where it is installed, and how far they are apart.

    OPENBLAS_NUM_THREADS=1 python benchmarks/off_policy_speed.py [--rounds 1000000] [--arms 8] [--features 64]
        [--rival PYTHON]

Prints the least of five measurements of processor time, in seconds, on a log of random contexts in memory, from 300,000
sessions. PYTHON is an interpreter with obp, made as benchmarks/replay.py says; it gets the same log, target and reward
model's predictions, and is timed from there, model not included. Ours include fitting the model and the standard error.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.estimate import Estimator, Interval, Rounds
from highwayman.sims.estimators.direct_method import DirectMethod
from highwayman.sims.estimators.doubly_robust import DoublyRobust
from highwayman.sims.estimators.dr_os import DROS
from highwayman.sims.estimators.ips import IPS
from highwayman.sims.estimators.snips import SNIPS
from highwayman.sims.estimators.switch_dr import SwitchDR
from highwayman.sims.evaluation import evaluate
from highwayman.sims.intervals.bootstrap import ClusteredBootstrap
from highwayman.sims.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.intervals.empirical_bernstein import EmpiricalBernstein
from highwayman.sims.intervals.normal import Normal
from highwayman.sims.intervals.session_sums import SessionSums
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.reward_model import RewardModel

RIVALS = Path(__file__).with_name("replay_rivals.py")
TAU, LAM = 4.0, 50.0  # so that both matter among ratios of up to 8


def make_log(n: int, k: int, d: int, rng: np.random.Generator) -> LoggedData:
    """Return a uniform log of n rounds over k arms with d features."""
    contexts = rng.standard_normal((n, d))
    contexts[:, -1] = 1.0
    return LoggedData(
        arms=tuple(f"arm-{number}" for number in range(k)),
        contexts=contexts,
        eligible=np.ones((n, k), dtype=np.bool_),
        actions=rng.integers(0, k, n),
        propensities=np.full(n, 1 / k),
        rewards=(rng.random(n) < 0.6).astype(np.float64),
        costs_usd=np.full(n, 0.001),
        penalties=np.zeros((n, k)),
        sessions=rng.integers(0, 300_000, n),
        at=np.arange(n, dtype=np.float64),
    )


def timed(name: str, call: Callable[[], object]) -> None:
    """Print the least processor time of five calls."""
    found = []
    for _ in range(5):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    print(f"{name:42}{min(found):8.3f} s", flush=True)


def value(make: Callable[[], Estimator], log: LoggedData, target: Floats) -> tuple[float, float]:
    """Return the estimate and its clustered standard error."""
    estimator, sums = make(), SessionSums()
    estimator.fit(log)
    sums.add(estimator.rounds(log, target))
    return sums.value(), sums.stderr()[0]


def ends(make: Callable[[], Interval], rounds: Rounds) -> tuple[float, float]:
    """Return an interval."""
    interval = make()
    interval.add(rounds)
    return interval.interval()


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--rival", metavar="PYTHON")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    log = make_log(arguments.rounds, arguments.arms, arguments.features, rng)
    target = rng.dirichlet(np.ones(arguments.arms), log.n)
    print(f"{log.n} rounds, {arguments.arms} arms, {log.d} features")
    for estimator in (IPS, SNIPS, DoublyRobust):
        timed(f"{estimator.__name__}: value and stderr", lambda make=estimator: value(make, log, target))  # type: ignore[misc]
    rounds = IPS(max_ratio=arguments.arms).rounds(log, target)
    for interval in (Normal, ClusteredBootstrap, EmpiricalBernstein, ConfidenceSequence):
        timed(f"{interval.__name__}: from round-wise values", lambda make=interval: ends(make, rounds))  # type: ignore[misc]

    def probs(block: LoggedData) -> Floats:
        start = int(block.at[0])
        return target[start : start + block.n]

    timed("evaluate: SNIPS, Normal, support, checks", lambda: evaluate(lambda: [log], probs))
    timed("evaluate: DoublyRobust, the same", lambda: evaluate(lambda: [log], probs, estimator=DoublyRobust()))
    if arguments.rival:
        beside(arguments.rival, log, target)


def beside(python: str, log: LoggedData, target: Floats) -> None:
    """Print obp's estimates on the same log, how long they took, and how far ours are from them."""
    model = RewardModel()
    model.fit(log)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.npz"
        given = {"rewards": log.rewards, "actions": log.actions, "propensities": log.propensities, "target": target}
        np.savez(path, **given, model=model.predict(log).astype(np.float64), tau=TAU, lam=LAM)
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        command, env = [python, RIVALS, "0", path], {**os.environ, **threads}
        done = subprocess.run(command, env=env, capture_output=True, check=False)  # noqa: S603 (our own file)
    if done.returncode:
        sys.exit(f"{python} {RIVALS.name} failed:\n{done.stderr.decode()[-2000:]}")
    ours = {"IPS": IPS(), "SNIPS": SNIPS(), "DirectMethod": DirectMethod(), "DoublyRobust": DoublyRobust(),
            "SwitchDR": SwitchDR(tau=TAU), "DROS": DROS(lam=LAM)}  # fmt: skip
    for name, (theirs, seconds) in json.loads(done.stdout).items():
        apart = abs(value(lambda one=ours[name]: one, log, target)[0] - theirs)  # type: ignore[misc]
        print(f"obp {name:38}{seconds:8.3f} s   value {theirs:.6f}, ours {apart:.1e} from it", flush=True)


if __name__ == "__main__":
    main()
