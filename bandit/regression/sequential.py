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
class PosteriorSummary:
    """What a policy may want to know of its regressions beside means and spreads, now or before each of m rounds."""

    noise_variance: float | Floats  # a number, or (m, 1)
    total_weight: float | Floats  # of all feedback standing: a number, or (m, 1)

    def at(self, rounds: Indices | slice) -> "PosteriorSummary":
        """Return what was known before some of the m rounds."""
        if isinstance(self.noise_variance, float) or isinstance(self.total_weight, float):
            return self
        return PosteriorSummary(self.noise_variance[rounds], self.total_weight[rounds])


@dataclass(frozen=True, slots=True, eq=False)
class SequentialPredictions:
    """What was believed before each of m rounds, for K arms."""

    means: Floats  # (m, K)
    stds: Floats  # (m, K) sqrt(x^T A^-1 x)
    summaries: PosteriorSummary


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """The n of m rounds that teach one arm something, each of weight 1."""

    rounds: Indices  # (n,) rising
    rewards: Floats  # (n,)
    unknown_from: Indices  # (m,) for each round, the first one whose reward it does not know yet


@dataclass(frozen=True, slots=True, eq=False)
class SequentialUpdate:
    """One arm's regression over m rounds, n of which taught it something."""

    means: Floats  # (m,) before each round
    squares: Floats  # (m,) x^T A^-1 x before each round
    residuals: Floats  # (n,) reward minus mean, over its standard deviation in units of the noise's
    inverse: Floats  # (d, d) afterwards
    theta: Floats  # (d,) afterwards


def sequential_update(inverse: Floats, theta: Floats, features: Floats, observations: Observations) -> SequentialUpdate:
    """Return what one arm's regression believed before each round, and what it knows after the last.

    With S = I + X A^-1 X^T over the rounds that teach and its Cholesky factor L, the first i rows of L^-1 belong to
    the first i of those rounds alone; so all the sequential updates are partial sums over rows of L^-1 (X A^-1 x), and
    the inverse loses the whole of (L^-1 X A^-1)^T (L^-1 X A^-1) (Woodbury 1950; Rasmussen & Williams, Gaussian
    Processes for Machine Learning, 2006, algorithm 2.1, in the space of weights).

    Args:
        inverse: (d, d) A^-1 before.
        theta: (d,) the mean before.
        features: (m, d) of all rounds.
        observations: what is learned from them.
    """
    reach, taught = features @ inverse, observations.rounds  # (m, d), (n,)
    means, squares = features @ theta, np.vecdot(reach, features)
    if not len(taught):
        return SequentialUpdate(means, squares, np.empty(0), inverse, theta)
    taught_reach = reach[taught]  # (n, d)
    shared = taught_reach @ features.T  # (n, m)
    unfolded = _unfolded(shared[:, taught])
    partial, gain, surprises = (
        unfolded @ shared,
        unfolded @ taught_reach,
        unfolded @ (observations.rewards - means[taught]),
    )
    partial *= taught[:, None] < observations.unknown_from
    return SequentialUpdate(
        means + surprises @ partial,
        squares - np.einsum("nm,nm->m", partial, partial),
        surprises,
        inverse - gain.T @ gain,
        theta + surprises @ gain,
    )


def batch_update(inverse: Floats, theta: Floats, features: Floats, rewards: Floats) -> None:
    """Update A^-1 (d, d) and mean (d,), in place, with features (n, d) and rewards (n,); no predictions on the way."""
    reach = features @ inverse  # (n, d)
    unfolded = _unfolded(reach @ features.T)
    gain, surprises = unfolded @ reach, unfolded.dot(rewards - features.dot(theta))
    inverse -= gain.T @ gain
    theta += surprises.dot(gain)


def _unfolded(shared: Floats) -> Floats:
    """Return L^-1 (n, n), lower triangular, with L L^T = I + X A^-1 X^T; overwrites `shared`, X A^-1 X^T.

    Products with it are several times as fast as solving, and as exact: no eigenvalue of the sum is below 1.
    """
    np.einsum("ii->i", shared)[:] += 1.0  # the diagonal
    inverse_factor: Floats = np.linalg.inv(np.linalg.cholesky(shared))
    return inverse_factor
