"""How fast a bandit log is replayed under another policy, beside obp 0.5.7 and coba 8.1 where they are installed.

    OPENBLAS_NUM_THREADS=1 python benchmarks/replay.py [--rounds 100000] [--repeats 5] [--rival PYTHON]

A log of 8 arms and 64 random features. `exact` asks LinUCB about every round and teaches it before the next; `frozen`
lets it learn every so many rounds. PYTHON is an interpreter that has the two libraries, which want an older numpy and
Python than this project:

    python3.10 -m venv rivals
    rivals/bin/pip install "numpy<2" pandas scikit-learn matplotlib seaborn tqdm pyyaml torch coba==8.1.0
    rivals/bin/pip install --no-deps obp==0.5.7

Their replays (benchmarks/replay_rivals.py) run between ours, on logs made alike, and shorter: they are slow. Prints
events per second of processor time, the median of the repeats and their range.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from highwayman.bandit.lin_ucb import LinUCB
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.progressive import Progressive

ARMS, FEATURES, FLOOR = 8, 64, 0.02
RIVALS = Path(__file__).with_name("replay_rivals.py")


def make_log(n: int, seed: int) -> LoggedData:
    """Return a uniform log of n rounds, rewards 0 or 1 that depend linearly on the features."""
    rng = np.random.default_rng(seed)
    contexts = rng.standard_normal((n, FEATURES))
    contexts[:, -1] = 1.0
    actions = rng.integers(0, ARMS, n)
    weights = rng.normal(0.0, 0.03, (ARMS, FEATURES))
    chances = np.clip(0.6 + (contexts * weights[actions]).sum(axis=1), 0.0, 1.0)
    return LoggedData(
        arms=tuple(f"arm-{number}" for number in range(ARMS)),
        contexts=contexts,
        eligible=np.ones((n, ARMS), dtype=np.bool_),
        actions=actions,
        propensities=np.full(n, 1 / ARMS),
        rewards=(rng.random(n) < chances).astype(np.float64),
        costs_usd=np.full(n, 0.001),
        penalties=np.zeros((n, ARMS)),
        sessions=np.arange(n),
        at=np.arange(n, dtype=np.float64),
    )


def ours(log: LoggedData, frozen_for: int) -> float:
    """Return events per second of processor time."""
    asking = Progressive(LinUCB(d=FEATURES), floor=FLOOR, frozen_for=frozen_for)
    started = time.process_time()
    asking(log)
    return log.n / (time.process_time() - started)


def rivals(python: str, seed: int) -> dict[str, float]:
    """Return what the rivals' interpreter measures: events per second of processor time by name."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command, env = [python, RIVALS, str(seed)], {**os.environ, **threads}
    done = subprocess.run(command, env=env, capture_output=True, check=False)  # noqa: S603 (our own file)
    if done.returncode:
        sys.exit(f"{python} {RIVALS.name} failed:\n{done.stderr.decode()[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rival", metavar="PYTHON")
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {}
    for seed in range(arguments.repeats):
        log = make_log(arguments.rounds, seed)
        for name, frozen_for in (("exact", 1), ("frozen for 100", 100), ("frozen for 1000", 1000)):
            found.setdefault(f"highwayman LinUCB, {name}", []).append(ours(log, frozen_for))
        if arguments.rival:
            for name, rate in rivals(arguments.rival, seed).items():
                found.setdefault(name, []).append(rate)
    print(f"{arguments.rounds} rounds, {ARMS} arms, {FEATURES} features; events per second of processor time")
    for name, rates in found.items():
        print(f"{name:42}{np.median(rates):10,.0f}   ({min(rates):,.0f} to {max(rates):,.0f})", flush=True)


if __name__ == "__main__":
    main()
