"""How long off-policy estimates take on one core, beside obp 0.5.7 where it is installed, and how far they are apart.

    python benchmarks/off_policy_speed.py [--rounds 1000000] [--arms 8] [--features 64]
        [--rival PYTHON]

Prints the least of five measurements of processor time, in seconds, on a log of random contexts in memory, from 300,000
sessions. PYTHON is an interpreter with obp, made as benchmarks/replay.py says; it gets the same log, target and reward
model's predictions. Beside it both are timed from these; ours with the standard error, which obp's do not have.
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
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.ope.estimate import Estimator, Interval, RoundValues
from highwayman.sims.ope.estimators.clipped_ips import ClippedIPS
from highwayman.sims.ope.estimators.direct_method import DirectMethod
from highwayman.sims.ope.estimators.doubly_robust import DoublyRobust
from highwayman.sims.ope.estimators.dr_os import DROS
from highwayman.sims.ope.estimators.ips import IPS
from highwayman.sims.ope.estimators.modelled import Modelled
from highwayman.sims.ope.estimators.ratios import at_action
from highwayman.sims.ope.estimators.snips import SNIPS
from highwayman.sims.ope.estimators.switch_dr import SwitchDR
from highwayman.sims.ope.evaluation import evaluate
from highwayman.sims.ope.intervals.bootstrap import ClusteredBootstrap
from highwayman.sims.ope.intervals.confidence_sequence import ConfidenceSequence
from highwayman.sims.ope.intervals.empirical_bernstein import EmpiricalBernstein
from highwayman.sims.ope.intervals.normal import Normal
from highwayman.sims.ope.intervals.session_sums import SessionSums
from highwayman.sims.ope.reward_model import RewardModel

RIVALS = Path(__file__).with_name("replay_rivals.py")
Found = TypeVar("Found")
CAP, TAU, LAM = 3.0, 4.0, 50.0  # so that all matter among ratios of up to 8


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


def timing(call: Callable[[], Found]) -> tuple[Found, float]:
    """Return what a call returns, and the least processor time of five."""
    seconds = []
    for _ in range(5):
        started = time.process_time()
        found = call()
        seconds.append(time.process_time() - started)
    return found, min(seconds)


def timed(name: str, call: Callable[[], object]) -> None:
    """Print the least processor time of five calls."""
    print(f"{name:42}{timing(call)[1]:8.3f} s", flush=True)


def value(make: Callable[[], Estimator], log: LoggedData, target: Floats) -> tuple[float, float]:
    """Return the estimate and its clustered standard error."""
    estimator, sums = make(), SessionSums()
    estimator.fit(log)
    sums.add(estimator.rounds(log, target))
    return sums.value(), sums.stderr()[0]


def ends(make: Callable[[], Interval], rounds: RoundValues) -> tuple[float, float]:
    """Return an interval."""
    interval = make()
    interval.add(rounds)
    return interval.interval()


class Given:
    """A reward model that somebody else fitted."""

    def __init__(self, predicted: Floats) -> None:
        """Take the predictions (n, K) for the one log there is."""
        self._predicted = predicted

    def fit(self, log: LoggedData) -> None:
        """Do nothing."""

    def values(self, log: LoggedData, target: Floats) -> tuple[Floats, Floats]:
        """Return what `RewardModel.values` does."""
        return np.vecdot(self._predicted, target), at_action(self._predicted, log)


def from_given(make: Callable[[], Modelled], predicted: Floats) -> Modelled:
    """Return an estimator that finds the model's predictions made."""
    found = make()
    found._model = Given(predicted)  # type: ignore[assignment]
    return found


def beside(python: str, log: LoggedData, target: Floats) -> None:
    """Print both estimates on the same log and predictions, how long they took, and how far they are apart."""
    model = RewardModel()
    model.fit(log)
    predicted = model.predict(log).astype(np.float64)
    makers: dict[str, Callable[[], Estimator]] = {
        "IPS": IPS,
        "SNIPS": SNIPS,
        "ClippedIPS": lambda: ClippedIPS(cap=CAP),
        "DirectMethod": lambda: from_given(DirectMethod, predicted),
        "DoublyRobust": lambda: from_given(DoublyRobust, predicted),
        "SwitchDR": lambda: from_given(lambda: SwitchDR(tau=TAU), predicted),
        "DROS": lambda: from_given(lambda: DROS(lam=LAM), predicted),
    }
    print("from the model's predictions           ours       obp")
    most = 0.0
    for name, (theirs, seconds) in obp_says(python, log, target, predicted).items():
        own, taken = timing(lambda name=name: value(makers[name], log, target))  # type: ignore[misc]
        apart = abs(own[0] - theirs)
        most = max(most, apart)
        print(f"{name:34}{taken:8.3f} s{seconds:8.3f} s   value {theirs:.6f}, apart {apart:.1e}", flush=True)
    print(f"largest difference {most:.1e}")


def obp_says(python: str, log: LoggedData, target: Floats, predicted: Floats) -> dict[str, tuple[float, float]]:
    """Return obp's estimates, and the least seconds each took, by our names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.npz"
        given = {"rewards": log.rewards, "actions": log.actions, "propensities": log.propensities, "target": target}
        np.savez(path, **given, model=predicted, cap=CAP, tau=TAU, lam=LAM)  # type: ignore[arg-type]
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        command, env = [python, RIVALS, path], {**os.environ, **threads}
        done = subprocess.run(command, env=env, capture_output=True, check=False)  # noqa: S603 (our own file)
    if done.returncode:
        sys.exit(f"{python} {RIVALS.name} failed:\n{done.stderr.decode()[-2000:]}")
    found: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return found


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


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # two threads wait for each other, and waiting is processor time
        main()
