"""That memory does not grow with a log: writes logs of two sizes and estimates a policy's value on each.

    python benchmarks/big_log.py [--rounds 1000000 10000000]

Four arms, eight features, 50,000 rounds a chunk. Writing and estimating run in a process each; prints seconds and the
most memory the process had.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import LoggedData
from highwayman.sims.logs.logged_file import LogFile, write_log
from highwayman.sims.ope.evaluation import evaluate

ARMS, FEATURES, CHUNK = 4, 8, 50_000


def chunks(rounds: int) -> Iterator[LoggedData]:
    """Yield a log drawn evenly."""
    rng = np.random.default_rng(0)
    for start in range(0, rounds, CHUNK):
        n = min(CHUNK, rounds - start)
        contexts = rng.standard_normal((n, FEATURES)).astype(np.float32).astype(np.float64)
        contexts[:, -1] = 1.0
        actions = rng.integers(0, ARMS, n)
        yield LoggedData(
            arms=tuple("abcd"),
            contexts=contexts,
            eligible=np.ones((n, ARMS), dtype=np.bool_),
            actions=actions,
            propensities=np.full(n, 1 / ARMS),
            rewards=(rng.random(n) < 0.5 + 0.1 * (actions == 0)).astype(np.float64),
            costs_usd=np.full(n, 0.001),
            penalties=np.zeros((n, ARMS)),
            sessions=rng.integers(0, 1_000_000, n),
            at=np.arange(start, start + n, dtype=np.float64),
        )


def write(path: Path, rounds: int) -> str:
    """Write the log; return its size in words."""
    write_log(path, chunks(rounds))
    return f"{path.stat().st_size / 2**20:.0f} MiB on disk"


def estimate(path: Path, rounds: int) -> str:  # one signature with `write`
    """Return the value of always taking the first arm, in words."""
    found = evaluate(LogFile(path).chunks, first_arm)
    return f"SNIPS {found.value:.4f} [{found.low:.4f}, {found.high:.4f}] of {rounds:,} rounds"


def first_arm(log: LoggedData) -> Floats:
    """Return the probabilities of a policy that takes the first arm."""
    probs = np.zeros((log.n, ARMS))
    probs[:, 0] = 1.0
    return probs


def alone(work: Callable[[Path, int], str], path: Path, rounds: int) -> None:
    """Do the work in a process of its own, and print what it took."""
    process = multiprocessing.get_context("spawn").Process(target=_told, args=(work, path, rounds))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def _told(work: Callable[[Path, int], str], path: Path, rounds: int) -> None:
    started = time.perf_counter()
    found = work(path, rounds)
    seconds, most = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{rounds:>11,} rounds  {work.__name__:9}{seconds:7.1f} s  {most:5.0f} MiB at most   {found}", flush=True)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, nargs="+", default=[1_000_000, 10_000_000])
    with tempfile.TemporaryDirectory() as folder:
        for rounds in parser.parse_args().rounds:
            for work in (write, estimate):
                alone(work, Path(folder) / f"{rounds}.parquet", rounds)


if __name__ == "__main__":
    main()
