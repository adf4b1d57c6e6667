"""How far the posteriors stray from a direct solution after many updates.

    python benchmarks/numerics.py [--updates 1000000]

Each row teaches one posterior that many rounds (fewer where d is large), every hundredth of them flipped later and
every thousandth taken back, and then compares means and squared deviations at ten contexts, one eligible arm at a time,
with a Cholesky solution of all the rounds as they stand. Discount 0.99 is a half-life of 69 rounds. Also: one context
over and over, contexts that are zero but for the constant, and zero altogether. Every sum over rounds is checked to be
positive definite with the prior, and every snapshot to be readable.
"""

import argparse
import math
import time

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.env.types import Floats, RewardChange

CASES = [
    ("random", 8, 1, 1.0, 1.0),  # contexts, d, K, discount, share of the updates
    ("random", 8, 1, 0.99, 1.0),
    ("random", 64, 8, 1.0, 1.0),
    ("random", 64, 8, 0.99, 0.1),
    ("random", 64, 64, 1.0, 0.1),
    ("random", 384, 2, 1.0, 0.02),
    ("random", 384, 2, 0.99, 0.004),
    ("same", 8, 1, 1.0, 1.0),
    ("same", 64, 2, 0.99, 0.05),
    ("constant", 64, 2, 1.0, 0.1),
    ("constant", 8, 1, 0.99, 0.1),
    ("zero", 64, 2, 1.0, 0.1),
    ("zero", 8, 1, 0.99, 0.1),
]


def fading(discount: float) -> Forgetting | None:
    """Return the fading of a discount per round."""
    return None if discount == 1.0 else Forgetting(events=math.log(0.5) / math.log(discount))


def contexts(kind: str, n: int, d: int, rng: np.random.Generator) -> Floats:
    """Return contexts (n, d): `random`, the `same` one, zero but for the `constant`, or `zero`."""
    x = rng.normal(size=(n, d)) / math.sqrt(d)
    if kind == "same":
        x[:] = x[0]
    if kind in ("constant", "zero"):
        x[:] = 0.0
    if kind != "zero":
        x[:, -1] = 1.0
    return x


class Direct:
    """The sums of all rounds as they stand, one after another, and what a Cholesky solution of them says."""

    def __init__(self, d: int, k: int) -> None:
        """Start without rounds."""
        self.v, self.w, self.b = np.zeros((k, d, d)), np.zeros((k, d, d)), np.zeros((k, d))
        self.prior = np.diag([2.0] * (d - 1) + [1.0])

    def add(self, row: int, x: Floats, value: float, weight: float) -> None:
        """Add a round of a weight."""
        square = np.outer(x, x)
        self.v[row] += weight * square
        self.w[row] += weight**2 * square
        self.b[row] += weight * value * x

    def beliefs(self, row: int, asked: Floats) -> tuple[Floats, Floats]:
        """Return means and squared deviations of one arm at contexts (m, d)."""
        lower = np.linalg.cholesky(self.v[row] + self.prior)
        pull = self.b[row] + 0.6 * self.prior[-1]
        reach = np.linalg.solve(lower.T, np.linalg.solve(lower, asked.T)).T
        return reach @ pull, np.vecdot(reach @ (self.w[row] + self.prior), reach)


def taught(kind: str, d: int, k: int, *, discount: float, n: int) -> tuple[LinearPosterior, Direct, float]:
    """Return a posterior after n rounds, the same rounds' sums, and the seconds that teaching the former took."""
    rng, direct, took = np.random.default_rng(0), Direct(d, k), 0.0
    posterior, block = LinearPosterior(d=d, forgetting=fading(discount)), contexts(kind, min(n, 20_000), d, rng)
    for number in range(k):
        posterior.add_arm(f"arm {number}")
    for t in range(n):
        x, row, value = block[t % len(block)], t % k, float(rng.random() < 0.7)
        arm, changes = f"arm {row}", [RewardChange(f"arm {row}", x, 1.0, value, value)]
        final, weight = (1 - value if t % 100 == 0 else value), discount ** (n - 1 - t)
        if t % 100 == 0:
            changes.append(RewardChange(arm, x, 0.0, final - value, final - value))
        if t % 1000 == 0:
            changes.append(RewardChange(arm, x, -1.0, -final, -final))
        elif weight > 1e-18:
            direct.add(row, x, final, weight if discount < 1.0 else 1.0)
        started = time.process_time()
        posterior.update(changes)
        took += time.process_time() - started
    if posterior.has_half_life:
        # The sums here have faded to the last round; without a half-life nothing is computed anew.
        posterior.recompute()
    return posterior, direct, took


def strayed(posterior: LinearPosterior, direct: Direct) -> float:
    """Return the largest error of means and of squared deviations in units of the noise's."""
    asked, worst = contexts("random", 10, posterior.d, np.random.default_rng(1)), 0.0
    np.linalg.cholesky(snapshot.unpack(posterior.state())[1]["a"] + direct.prior)  # raises unless positive definite
    for row, arm in enumerate(posterior.arms):
        found = [posterior.mean_and_std(x, [arm]) for x in asked]
        means, squares = direct.beliefs(row, asked)
        worst = max(worst, *(abs(mean[0] - wanted) for (mean, _), wanted in zip(found, means, strict=True)))
        worst = max(worst, *(abs(sd[0] ** 2 - wanted) for (_, sd), wanted in zip(found, squares, strict=True)))
    posterior.restore(posterior.state())  # raises unless the snapshot can be read
    return float(worst)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1_000_000)
    options = parser.parse_args()
    print(f"{'contexts':10}{'d':>5}{'K':>5}{'discount':>10}{'updates':>11}{'largest error':>16}{'seconds':>10}")
    for kind, d, k, discount, share in CASES:
        n = int(options.updates * share)
        posterior, direct, took = taught(kind, d, k, discount=discount, n=n)
        error = strayed(posterior, direct)
        print(f"{kind:10}{d:>5}{k:>5}{discount:>10g}{n:>11,}{error:>16.1e}{took:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
