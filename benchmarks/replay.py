"""How fast a bandit log is replayed under another policy, beside obp 0.5.7 and coba 8.1 where they are installed.

    python benchmarks/replay.py [--rounds 100000] [--repeats 5] [--rival PYTHON]

A log of 8 arms and 64 random features. `exact` asks LinUCB about every round and teaches it before the next; `frozen`
lets it learn every so many rounds; `one by one` does what `exact` does through `probs` and `learn`, as a router does.
PYTHON is an interpreter that has the two libraries, which want an older numpy and Python than this project:

    python3.10 -m venv rivals
    rivals/bin/pip install "numpy<2" pandas scikit-learn matplotlib seaborn tqdm pyyaml torch coba==8.1.0
    rivals/bin/pip install --no-deps obp==0.5.7

Their replays (benchmarks/replay_rivals.py) run between ours, over the first rounds of the same logs: they are slow. So
does a plain numpy loop, the least that a sequential LinUCB can take. Prints events per second of processor time, the
median of the repeats and their range.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from replay_rivals import ARMS, FEATURES, fingerprint, numpy_rate, rounds
from threadpoolctl import threadpool_limits

from highwayman.bandit.policies.lin_ucb import LinUCB
from highwayman.env.types import Context, RewardChange
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.replay.progressive import ProgressiveValidation

FLOOR, ONE_BY_ONE = 0.02, 10_000  # rounds
RIVALS = Path(__file__).with_name("replay_rivals.py")


def make_log(n: int, seed: int) -> LoggedData:
    """Return a uniform log of n rounds, rewards 0 or 1 that depend linearly on the features."""
    contexts, actions, rewards = rounds(n, seed)
    return LoggedData(
        arms=tuple(f"arm-{number}" for number in range(ARMS)),
        contexts=contexts,
        eligible=np.ones((n, ARMS), dtype=np.bool_),
        actions=actions,
        propensities=np.full(n, 1 / ARMS),
        rewards=rewards,
        costs_usd=np.full(n, 0.001),
        penalties=np.zeros((n, ARMS)),
        sessions=np.arange(n),
        at=np.arange(n, dtype=np.float64),
    )


def ours(log: LoggedData, frozen_for: int) -> float:
    """Return events per second of processor time."""
    asking = ProgressiveValidation(LinUCB(d=FEATURES), floor=FLOOR, frozen_for=frozen_for)
    started = time.process_time()
    asking(log)
    return log.n / (time.process_time() - started)


def one_by_one(log: LoggedData) -> tuple[float, float]:
    """Return the median microseconds that LinUCB takes to decide, and to learn, measured a hundred at a time."""
    policy = LinUCB(d=FEATURES)
    for arm in log.arms:
        policy.add_arm(arm)
    contexts = [Context(features, "", 0) for features in log.contexts]
    changes = [
        [RewardChange(log.arms[action], features, 1.0, reward, reward * reward)]
        for action, features, reward in zip(log.actions, log.contexts, log.rewards.tolist(), strict=True)
    ]
    asked, taught = [], []
    for start in range(0, log.n, 100):
        part = range(start, min(start + 100, log.n))
        asked.append(_each(lambda i: policy.probs(contexts[i], log.arms, log.penalties[i]), part))
        taught.append(_each(lambda i: policy.learn(changes[i]), part))
    return float(np.median(asked)), float(np.median(taught))


def _each(call: Callable[[int], object], numbers: range) -> float:
    started = time.process_time_ns()
    for number in numbers:
        call(number)
    return (time.process_time_ns() - started) / len(numbers) / 1e3


def rivals(python: str, log: LoggedData, seed: int) -> dict[str, float]:
    """Return what the rivals' interpreter measures on the same log: events per second of processor time by name."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command, env = [python, RIVALS, str(seed), str(log.n)], {**os.environ, **threads}
    done = subprocess.run(command, env=env, capture_output=True, check=False)  # noqa: S603 (our own file)
    if done.returncode:
        sys.exit(f"{python} {RIVALS.name} failed:\n{done.stderr.decode()[-2000:]}")
    sys.stderr.write(done.stderr.decode() if b"No module" in done.stderr else "")
    told = json.loads(done.stdout)
    if told["log"] != fingerprint(log.contexts, log.actions, log.rewards):
        sys.exit(f"{python} made another log of seed {seed} than this interpreter: what they took does not compare")
    found: dict[str, float] = told["rates"]
    return found


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rival", metavar="PYTHON")
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {}
    micros = []
    for seed in range(arguments.repeats):
        log = make_log(arguments.rounds, seed)
        for name, frozen_for in (("exact", 1), ("frozen for 100", 100), ("frozen for 1000", 1000)):
            found.setdefault(f"highwayman LinUCB, {name}", []).append(ours(log, frozen_for))
        micros.append(one_by_one(log.take(slice(0, ONE_BY_ONE))))
        found.setdefault("highwayman LinUCB, one by one", []).append(1e6 / sum(micros[-1]))
        found.setdefault("numpy LinUCB, a plain loop", []).append(numpy_rate(log.contexts, log.actions, log.rewards))
        for name, rate in rivals(arguments.rival, log, seed).items() if arguments.rival else ():
            found.setdefault(name, []).append(rate)
    print(f"{arguments.rounds} rounds, {ARMS} arms, {FEATURES} features; events per second of processor time")
    for name, rates in found.items():
        print(f"{name:42}{np.median(rates):10,.0f}   ({min(rates):,.0f} to {max(rates):,.0f})")
    decide, learn = np.median(micros, axis=0)
    print(f"one by one: {decide:.1f} us to decide, {learn:.1f} us to learn")


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # two threads wait for each other, and waiting is processor time
        main()
