"""Qualities of arms from comparisons of two: the most probable coefficients, and how sure they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from highwayman.bandit.regression.sequential import Indices
from highwayman.env.types import Floats

_STEPS = 50
_CLOSE = 1e-9  # a step smaller than this was the last: the error left is about its square
_SMALLEST = 1e-6  # share of a step that is tried
_HALVINGS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Duels:
    """Comparisons of two arms' answers to n queries, the arms given by their places."""

    first: Indices  # (n,)
    second: Indices  # (n,)
    weights: Floats  # (n,)
    shares: Floats  # (n,) of the preference that the first one got, in [0, 1]
    features: Floats  # (n, d)

    def gaps(self, theta: Floats) -> Floats:
        """Return by how much the first one's quality exceeds the second one's, (n,), for coefficients (K, d)."""
        gaps: Floats = np.vecdot(self.features, theta[self.first] - theta[self.second])
        return gaps

    def among(self, places: list[int]) -> "Duels":
        """Return the same comparisons with arms counted among those at `places`, which rise and hold all of them."""
        first, second = (np.searchsorted(places, arms) for arms in (self.first, self.second))
        return Duels(first, second, self.weights, self.shares, self.features)


def sigmoid(logits: Floats) -> Floats:
    """Return 1 / (1 + exp(-logits)), which never overflows so."""
    probs: Floats = 0.5 + 0.5 * np.tanh(0.5 * logits)
    return probs


def laplace_factors(weights: Floats, shares: Floats, gaps: Floats, scale: float) -> tuple[Floats, Floats]:
    """Return precision and pull (n,) of the Gaussian that has the slope and curvature of each comparison at its gap.

    Of w (y log p + (1 - y) log(1 - p)) with p = logistic(s gap): precision w s^2 p (1 - p), and a pull, precision times
    value, of w s (y - p) + precision * gap.
    """
    prob = sigmoid(scale * gaps)
    precisions = weights * scale**2 * prob * (1.0 - prob)
    return precisions, weights * scale * (shares - prob) + precisions * gaps


def add_difference(matrix: Floats, first: int, second: int, block: Floats) -> None:
    """Add to a matrix (K, d, K, d) what a block (d, d) on the difference of two arms is on all coefficients."""
    matrix[first, :, first] += block
    matrix[second, :, second] += block
    matrix[first, :, second] -= block
    matrix[second, :, first] -= block


def posterior_gap_mode(mean: float, variance: float, *, pull: float, share: float, scale: float) -> float:
    """Return the mode of a gap ~ N(mean, variance) after one comparison of weight `pull` / `scale`, by bisection.

    It solves gap = mean + variance * pull * (share - logistic(scale * gap)), whose right side falls as the gap grows.
    """

    def after(gap: float) -> float:
        return mean + variance * pull * (share - 0.5 - 0.5 * float(np.tanh(0.5 * scale * gap)))

    low, high = sorted((mean, after(mean)))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if after(middle) > middle else (low, middle)
    return 0.5 * (low + high)


def laplace_approximation(precision: Floats, pull: Floats, duels: Duels, scale: float) -> tuple[Floats, Floats]:
    """Return the mode (K, d) of Gaussian and comparisons together and the curvature there, (K d, K d).

    P(first is preferred) = logistic(s (theta_first - theta_second)^T x): Bradley & Terry, "Rank Analysis of Incomplete
    Block Designs: I. The Method of Paired Comparisons", Biometrika 39, 1952, on qualities that are linear in x. The
    posterior is concave, so Newton's method, with steps halved while they lead down, finds its mode; with the curvature
    there it is Laplace's approximation (Bishop, PRML 2006, section 4.5). What depends on a pair of arms is summed pair
    by pair, never as rows of K d numbers. The search begins where the Gaussian alone is, so that equal evidence gives
    equal numbers whatever was believed before.

    Args:
        precision: (K, d, K, d) of the Gaussian.
        pull: (K, d) its precision times its mean.
        duels: the comparisons.
        scale: s, log-odds per unit of quality.

    Raises:
        numpy.linalg.LinAlgError: the Gaussian has none: its precision is singular.
    """
    search = _Search(precision, pull, duels, scale)
    theta = _solved(precision, pull)
    for _ in range(_STEPS):
        gradient, curvature = search.slopes(theta)
        step = _solved(curvature, gradient)
        theta, share = search.along(theta, step)
        if share * np.abs(step).max() < _CLOSE:
            break
    return theta, search.slopes(theta)[1].reshape(pull.size, pull.size)


def _solved(matrix: Floats, right: Floats) -> Floats:
    """Return y (K, d) with matrix (K, d, K, d) times y = right (K, d)."""
    solution: Any = np.linalg.solve(matrix.reshape(right.size, -1), right.reshape(-1, 1))
    shaped: Floats = solution.reshape(right.shape)
    return shaped


class _Search:
    """The logarithm of a posterior, its gradient and its curvature."""

    def __init__(self, precision: Floats, pull: Floats, duels: Duels, scale: float) -> None:
        order = np.lexsort((duels.second, duels.first))
        self._precision, self._pull, self._scale = precision, pull, scale
        self._duels = Duels(*(getattr(duels, name)[order] for name in Duels.__slots__))
        first, second = self._duels.first, self._duels.second
        changed = (np.diff(first) != 0) | (np.diff(second) != 0)
        ends = [*(np.flatnonzero(changed) + 1).tolist(), len(first)]
        self._pairs = [
            (int(first[start]), int(second[start]), slice(start, end))
            for start, end in zip([0, *ends], ends, strict=False)
            if end > start
        ]

    def slopes(self, theta: Floats) -> tuple[Floats, Floats]:
        """Return the gradient (K, d), and minus the second derivative (K, d, K, d), at theta (K, d)."""
        duels, scale = self._duels, self._scale
        prob = sigmoid(scale * duels.gaps(theta))
        pulls = duels.weights * scale * (duels.shares - prob)
        curvatures = duels.weights * scale**2 * prob * (1.0 - prob)
        gradient, curvature = self._pull - self._by_precision(theta), self._precision.copy()
        for first, second, part in self._pairs:
            features = duels.features[part]
            slope = pulls[part] @ features
            gradient[first] += slope
            gradient[second] -= slope
            add_difference(curvature, first, second, features.T @ (curvatures[part, None] * features))
        return gradient, curvature

    def along(self, theta: Floats, step: Floats) -> tuple[Floats, float]:
        """Return where as much of a step leads as does not lead down, and the share of it that was taken."""
        share, height = 1.0, self._height(theta)
        while share > _SMALLEST and self._height(theta + share * step) < height - 1e-12 * abs(height):
            share *= 0.5
        return theta + share * step, share

    def _height(self, theta: Floats) -> float:
        """Return the logarithm of the posterior at theta (K, d), but for a constant."""
        duels = self._duels
        logits = self._scale * duels.gaps(theta)
        unlikely = duels.shares * np.logaddexp(0.0, -logits) + (1.0 - duels.shares) * np.logaddexp(0.0, logits)
        gaussian = np.vdot(theta, self._pull - 0.5 * self._by_precision(theta))
        return float(gaussian - duels.weights @ unlikely)

    def _by_precision(self, theta: Floats) -> Floats:
        product: Floats = (self._precision.reshape(theta.size, -1) @ theta.ravel()).reshape(theta.shape)
        return product
