"""How far the arms' own parts are apart, as far as feedback shows."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.env.types import Floats

GRID = (0.2, 0.6, 2.0, 6.0, 20.0, 60.0)  # precisions of an arm's own features that are considered
TAG_GRID = (2.0, 6.0, 20.0, 60.0)  # of its effects at the levels of tags
_NO_CONTEXT = 1e4  # so tight a prior lets no query tell arms apart
_MARGIN = 3.0  # log evidence over that without which nothing is taken for found
_LEAST_WEIGHT = 10.0  # of feedback, before which nothing is looked for


def empirical_bayes_precision(
    sums: ArmStatistics,
    intercept: float,
    root: tuple[Floats, Floats],
    noise: tuple[float, float],
    *,
    own: Callable[[float], Floats] | None = None,
    grid: Sequence[float] = GRID,
) -> float | None:
    """Return the precision of the arms' own features of the largest evidence; None: none beats no features at all.

    MacKay, "Bayesian Interpolation", Neural Computation 1992 (type-II maximum likelihood), with the noise's variance at
    its best for each. Routing breaks its assumption that what is seen was not chosen by what was known: an arm that did
    badly on a kind of query is seen less of there.

    Args:
        sums: the feedback on each arm.
        intercept: precision of an arm's own intercept.
        root: precision and mean of the shared part, (d,) each.
        noise: expected variance, and how many observations that is worth.
        own: returns the precisions of an arm's own part, (d,), given that of the features in question; None: all are.
        grid: precisions that are considered.
    """
    own = own or partial(_diagonal, intercept=intercept, d=sums.d)
    if sums.weight() < _LEAST_WEIGHT:
        return None
    evidences = [_log_evidence(sums, own(precision), root, noise) for precision in (*grid, _NO_CONTEXT)]
    best = int(np.argmax(evidences[:-1]))
    return grid[best] if evidences[best] - evidences[-1] > _MARGIN else None


def _diagonal(precision: float, intercept: float, d: int) -> Floats:
    own = np.full(d, precision)
    own[-1] = intercept
    return own


def _log_evidence(sums: ArmStatistics, own: Floats, root: tuple[Floats, Floats], noise: tuple[float, float]) -> float:
    """Return the log probability of the feedback under the hierarchical model, but for a constant.

    All coefficients are integrated out: first each arm's own, then the shared ones (see `HierPosterior`).
    """
    lower = np.linalg.cholesky(sums.a + np.diag(own))
    factors = np.linalg.inv(lower)
    inverse = np.matmul(factors.transpose(0, 2, 1), factors)
    solved = np.einsum("kij,kj->ki", inverse, sums.b)
    precision = np.diag(root[0] + len(sums) * own) - own[:, None] * inverse.sum(axis=0) * own
    pull = root[0] * root[1] + (own * solved).sum(axis=0)
    weight, squared = sums.sums.sum(axis=0).tolist()
    explained = float(np.vdot(solved, sums.b) + pull.dot(np.linalg.solve(precision, pull)))
    residual = max(squared + float((root[0] * root[1] ** 2).sum()) - explained, 0.0)
    variance = (noise[0] * noise[1] + residual) / (noise[1] + weight)
    log_own = 0.5 * len(sums) * float(np.log(own).sum()) - float(np.log(np.diagonal(lower, axis1=1, axis2=2)).sum())
    return float(log_own - 0.5 * (weight + noise[1]) * math.log(variance) - 0.5 * np.linalg.slogdet(precision)[1])
