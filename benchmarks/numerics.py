"""How far the posteriors stray from a direct solution after many updates.

    python benchmarks/numerics.py [--updates 1000000]

Each row teaches one posterior that many rounds (fewer where d is large), every hundredth of them flipped later and
every thousandth taken back, and then compares means and squared deviations at ten contexts with a Cholesky solution of
all the rounds as they stand. Discount 0.99 is a half-life of 69 rounds. Also: one context over and over, and the zero
context. Every precision is checked to be positive definite.
"""

import argparse
import math
import time

import numpy as np

from highwayman.bandit.fading import Fading
from highwayman.bandit.posterior import LinearPosterior
from highwayman.env.types import Floats, RewardChange

CASES = [(8, 1, 1.0, 1.0), (8, 1, 0.99, 1.0), (64, 8, 1.0, 0.1), (64, 8, 0.99, 0.005), (64, 64, 1.0, 0.05),
         (384, 2, 1.0, 0.005), (384, 2, 0.99, 0.0005)]  # d, K, discount, share of the updates  # fmt: skip


def fading(discount: float) -> Fading | None:
    """Return the fading of a discount per round."""
    return None if discount == 1.0 else Fading(events=math.log(0.5) / math.log(discount))


def contexts(kind: str, n: int, d: int, rng: np.random.Generator) -> Floats:
    """Return contexts (n, d): `random`, the `same` one, or `zero` but for the constant."""
    x = rng.normal(size=(n, d)) / math.sqrt(d)
    if kind == "same":
        x[:] = x[0]
    if kind == "zero":
        x[:] = 0.0
    x[:, -1] = 1.0
    return x


def strayed(kind: str, d: int, k: int, *, discount: float, n: int) -> tuple[float, float]:
    """Return the largest error of means and deviations in units of the noise's, and the seconds it took to teach."""
    rng = np.random.default_rng(0)
    posterior, arms = LinearPosterior(d=d, fading=fading(discount)), [f"arm {number}" for number in range(k)]
    for arm in arms:
        posterior.add_arm(arm)
    block = contexts(kind, min(n, 20_000), d, rng)
    a, b = np.zeros((k, d, d)), np.zeros((k, d))
    w = np.zeros((k, d, d))
    started = time.process_time()
    for t in range(n):
        x, row, value = block[t % len(block)], t % k, float(rng.random() < 0.7)
        weight = discount ** (n - 1 - t)
        final, kept = (1 - value if t % 100 == 0 else value), t % 1000 != 0
        posterior.update([RewardChange(arms[row], x, 1.0, value, value)])
        if t % 100 == 0:
            posterior.update([RewardChange(arms[row], x, 0.0, final - value, final - value)])
        if not kept:
            posterior.update([RewardChange(arms[row], x, -1.0, -final, -final)])
        elif weight > 1e-18:
            a[row] += weight * np.outer(x, x)
            w[row] += weight**2 * np.outer(x, x)
            b[row] += weight * final * x
    took = time.process_time() - started
    if posterior._fading is not None:
        posterior.settle()
    prior = np.diag([2.0] * (d - 1) + [1.0])
    worst, asked = 0.0, contexts("random", 10, d, rng)
    np.linalg.cholesky(posterior._told.a + prior)  # raises unless positive definite
    for row, arm in enumerate(arms):
        theta = np.linalg.solve(a[row] + prior, b[row] + prior[-1] * 0.6)
        reach = np.linalg.solve(a[row] + prior, asked.T).T
        square = reach if discount == 1.0 else reach @ (w[row] + prior) @ np.linalg.inv(a[row] + prior)
        means, spreads = posterior.spread_many(asked, [arm])
        found = np.abs(means[:, 0] - asked @ theta).max(), np.abs(spreads[:, 0] ** 2 - np.vecdot(square, asked)).max()
        worst = max(worst, *found)
    return worst, took


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=1_000_000)
    options = parser.parse_args()
    print(f"{'contexts':10}{'d':>5}{'K':>5}{'discount':>10}{'updates':>11}{'largest error':>16}{'seconds':>10}")
    rows = [("random", *case) for case in CASES]
    rows += [
        ("same", 8, 1, 1.0, 0.1),
        ("same", 64, 2, 0.99, 0.005),
        ("zero", 64, 2, 1.0, 0.05),
        ("zero", 8, 1, 0.99, 0.05),
    ]
    for kind, d, k, discount, share in rows:
        n = int(options.updates * share)
        error, took = strayed(kind, d, k, discount=discount, n=n)
        print(f"{kind:10}{d:>5}{k:>5}{discount:>10g}{n:>11,}{error:>16.1e}{took:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
