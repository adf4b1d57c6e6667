"""P(arm is best) for independent Gaussian beliefs, by numerical integration: no Monte Carlo, so no noise."""

import math
from functools import cache

import numpy as np

from highwayman.env.types import Floats

_REACH = 6.0  # standard deviations; what lies beyond has probability below 1e-9
_TABLE_LOW, _TABLE_HIGH, _TABLE_STEP = -7.0, 9.0, 1.0 / 256
_NODES = 192  # grid points shared out among the contenders
_MIN_NODES_PER_ARM = 17
_LEAST_SD = 1e-9  # certainty is treated as almost certain, so that ties split evenly


def best_arm_probs(means: Floats, sds: Floats) -> Floats:
    """Return P(arm k has the largest value), shape (K,), for values N(means[k], sds[k]**2), independent.

    With F_k the distribution functions and G their product (the distribution of the maximum),
    P_k = integral of G dlog F_k. On each cell of a grid that resolves every contender's own scale, the exact mass
    of the cell, G(b) - G(a), is shared among the arms in proportion to log F_k(b) - log F_k(a). The shares are
    never negative and sum to one whatever the grid; their error is second order in the cell's width. Equal
    deviations or deviations a factor 100 apart cost the same.
    """
    probs = np.zeros(len(means))
    reach = _REACH * np.maximum(sds, _LEAST_SD)
    low = float((means - reach).max())
    contend = np.flatnonzero(means + reach > low)
    if len(contend) == 1:
        probs[contend] = 1.0
        return probs
    mean, sd = means[contend], reach[contend] / _REACH
    grid = _grid(mean, sd, low)
    log_f = _log_cdf((grid - mean[:, None]) / sd[:, None])  # (contenders, n)
    log_g = log_f.sum(axis=0)
    step_f = np.diff(log_f, axis=1)
    step_g = np.maximum(np.diff(log_g), 1e-300)
    mass = step_f @ (np.diff(np.exp(log_g)) / step_g)
    probs[contend] = mass / mass.sum()
    return probs


def _grid(mean: Floats, sd: Floats, low: float) -> Floats:
    """Return the sorted union of every contender's nodes from `low` up, shape (n,)."""
    nodes = _standard_nodes(max(_MIN_NODES_PER_ARM, _NODES // len(mean)))
    points = (mean[:, None] + sd[:, None] * nodes).ravel()
    np.maximum(points, low, out=points)
    points.sort()
    return points


@cache
def _standard_nodes(count: int) -> Floats:
    """Return `count` nodes over [-6, 6], denser where a Gaussian has its mass."""
    t = np.linspace(-1.0, 1.0, count)
    return _REACH * (0.6 * t + 0.4 * t**3)


@cache
def _log_cdf_table() -> Floats:
    """Return log Phi on the table's grid."""
    points = np.arange(_TABLE_LOW, _TABLE_HIGH + _TABLE_STEP, _TABLE_STEP)
    return np.array([math.log(0.5 * math.erfc(-z / math.sqrt(2.0))) for z in points])


def _log_cdf(z: Floats) -> Floats:
    """Return log Phi(z) by linear interpolation, to 3e-6; z is clipped to the table."""
    table = _log_cdf_table()
    position = (np.clip(z, _TABLE_LOW, _TABLE_HIGH - _TABLE_STEP) - _TABLE_LOW) * (1.0 / _TABLE_STEP)
    cell = position.astype(np.intp)
    left = table[cell]
    return left + (position - cell) * (table[cell + 1] - left)
