"""A stretch of rounds learned at once, with what was believed before each of them: exact, and many times faster.

Where somebody else draws the arms, as in the replay of a log, a policy's probabilities change nothing of what it learns
next. So the rounds between two looks at the clock can be gone through together, as matrices.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What a policy may want to know of its regressions beside means and spreads, now or before each of m rounds."""

    noise_variance: float | Floats  # a number, or (m, 1)
    weight_seen: float | Floats  # of all feedback standing: a number, or (m, 1)

    def at(self, rounds: Indices) -> "Known":
        """Return what was known before some of the m rounds."""
        if isinstance(self.noise_variance, float) or isinstance(self.weight_seen, float):
            return self
        return Known(self.noise_variance[rounds], self.weight_seen[rounds])


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """What was believed before each of m rounds, for K arms."""

    means: Floats  # (m, K)
    spreads: Floats  # (m, K) sqrt(x^T A^-1 x)
    known: Known


@dataclass(frozen=True, slots=True, eq=False)
class Absorbed:
    """One arm's regression over m rounds, n of which taught it something."""

    means: Floats  # (m,) before each round
    squares: Floats  # (m,) x^T A^-1 x before each round
    surprises: Floats  # (n,) reward minus mean, over its standard deviation in units of the noise's
    inverse: Floats  # (d, d) afterwards
    theta: Floats  # (d,) afterwards


def absorbed(inverse: Floats, theta: Floats, features: Floats, lessons: tuple[Indices, Floats]) -> Absorbed:
    """Return what one arm's regression believed before each round, and what it knows after the last.

    With S = I + X A^-1 X^T over the rounds that teach and its Cholesky factor L, the first i rows of L^-1 belong to
    the first i lessons alone; so all the sequential updates are partial sums over rows of L^-1 (X A^-1 x), and the
    inverse loses the whole of (L^-1 X A^-1)^T (L^-1 X A^-1) (Woodbury 1950; Rasmussen & Williams, Gaussian Processes
    for Machine Learning, 2006, algorithm 2.1, in the space of weights).

    Args:
        inverse: (d, d) A^-1 before.
        theta: (d,) the mean before.
        features: (m, d) of all rounds.
        lessons: the rounds whose reward is learned, (n,) and rising, and their rewards (n,), each of weight 1.
    """
    taught, rewards = lessons
    reach = features @ inverse  # (m, d)
    means, squares = features @ theta, np.einsum("md,md->m", reach, features)
    if not len(taught):
        return Absorbed(means, squares, np.empty(0), inverse, theta)
    shared = features[taught] @ reach.T  # (n, m)
    factor = np.linalg.cholesky(shared[:, taught] + np.eye(len(taught)))
    targets = np.column_stack([shared, reach[taught], rewards - means[taught]])
    solved = np.linalg.solve(factor, targets)
    partial, gain, surprises = solved[:, : len(features)], solved[:, len(features) : -1], solved[:, -1]
    partial = np.where(taught[:, None] < np.arange(len(features)), partial, 0.0)
    return Absorbed(
        means + surprises @ partial,
        squares - np.einsum("nm,nm->m", partial, partial),
        surprises,
        inverse - gain.T @ gain,
        theta + surprises @ gain,
    )
