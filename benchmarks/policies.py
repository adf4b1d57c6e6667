"""How fast policies decide and learn, beside those of other libraries.

    python benchmarks/policies.py [--rounds 2000] [--repeats 3] [--rival PYTHON]

Eight arms, 64 features, one thread; every policy has seen 2,000 rounds. Printed are medians over rounds, in
microseconds of processor time per call, and the least and largest of the repeats: to decide (probabilities of one
context), to learn one round, and to decide per context when 1,000 are asked at once. The rivals
(benchmarks/policies_rivals.py) run between ours, on the same rounds, under an interpreter of their own:

    python3 -m venv rivals
    rivals/bin/pip install vowpalwabbit==9.11.* mabwiser river contextualbandits paretobandit
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from policies_rivals import ARMS, FEATURES, rounds

from highwayman.bandit.loading import load_policy, shipped_policies
from highwayman.bandit.policy import BatchPolicy, Policy
from highwayman.env.types import Context, RewardChange

RIVALS = Path(__file__).with_name("policies_rivals.py")
NAMES = tuple("abcdefgh")
SEEN = 2_000
SLOW = {"NeuralLinear": 1_000}  # rounds that are asked of them
Row = dict[str, float | None]


def timed(work: Callable[[int], object], n: int) -> float:
    """Return the median time of a call, in microseconds of processor time."""
    times = np.empty(n)
    for t in range(n):
        started = time.process_time_ns()
        work(t)
        times[t] = time.process_time_ns() - started
    return float(np.median(times)) / 1e3


def ours(path: str, *, n: int, seed: int) -> Row:
    """Return one policy's times."""
    contexts, actions, rewards = rounds(SEEN + n, seed)
    policy: Policy = load_policy(path, d=FEATURES, fingerprint="")
    for name in NAMES:
        policy.add_arm(name)
    changes = [
        RewardChange(NAMES[action], x, 1.0, reward, reward**2)
        for x, action, reward in zip(contexts, actions.tolist(), rewards.tolist(), strict=True)
    ]
    policy.learn(changes[:SEEN])
    asked, free = [Context(x, "", 1) for x in contexts[SEEN:]], np.zeros(ARMS)
    found: Row = {
        "decide": timed(lambda t: policy.probs(asked[t], NAMES, free), n),
        "learn": timed(lambda t: policy.learn([changes[SEEN + t]]), n),
        "batch": None,
    }
    if isinstance(policy, BatchPolicy):
        many = np.tile(contexts[SEEN:], (1_000 // n + 1, 1))[:1_000]
        found["batch"] = timed(lambda t: policy.probs_many(many, NAMES, np.zeros((1_000, ARMS))), 5) / 1_000
    return found


def rivals(python: str, n: int, seed: int) -> dict[str, Row]:
    """Return the rivals' times by name."""
    done = subprocess.run(  # noqa: S603  (an interpreter of one's own)
        [python, str(RIVALS), str(seed), str(SEEN), str(n)], check=True, capture_output=True, text=True
    )
    found: dict[str, Row] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rival", metavar="PYTHON")
    options = parser.parse_args()
    rows: dict[str, list[Row]] = {}
    for seed in range(options.repeats):
        for name, path in sorted(shipped_policies().items()):
            rows.setdefault(name, []).append(ours(path, n=SLOW.get(name, options.rounds), seed=seed))
        for name, row in rivals(options.rival, options.rounds, seed).items() if options.rival else ():
            rows.setdefault(name, []).append(row)
    print(
        f"microseconds of processor time, median of {options.rounds} calls, [least, largest] of {options.repeats} runs"
    )
    print(f"{'':34}{'decide':>22}{'learn':>24}{'in a batch':>20}")
    for name, found in rows.items():
        cells = [_cell([row[what] for row in found]) for what in ("decide", "learn", "batch")]
        print(f"{name:34}{cells[0]:>22}{cells[1]:>24}{cells[2]:>20}")


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{np.median(known):,.1f} [{min(known):,.1f}, {max(known):,.1f}]"


if __name__ == "__main__":
    main()
