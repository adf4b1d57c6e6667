"""P(arm is best) for independent Gaussian beliefs, by numerical integration: no Monte Carlo, so no noise."""

import math
from functools import cache

import numpy as np

from highwayman.env.types import Floats

_REACH = 6.0  # standard deviations; what lies beyond has probability below 1e-9
_TABLE_LOW, _TABLE_HIGH, _TABLE_STEP = -7.0, 9.0, 1.0 / 256
_LAST_CELL = (_TABLE_HIGH - _TABLE_LOW) / _TABLE_STEP - 1.0
_STEP_SD = 0.5  # of the smallest deviation, between the points of an even grid
_NODES = 48  # points of an uneven grid, shared out among the contenders
_MIN_NODES_PER_ARM = 9
_LEAST_SD = 1e-9  # certainty is treated as almost certain, so that ties split evenly
_LEAST_STEP = 1e-6  # of log G in a cell: in a smaller one the shares do not change
_CHUNK = 16  # rows whose grids fit a processor's cache


def best_arm_probs(means: Floats, sds: Floats) -> Floats:
    """Return P(arm k has the largest value), shape (K,), for values N(means[k], sds[k]**2), independent.

    With F_k the distribution functions, f_k the densities and G the product of all F_k (the distribution of the
    maximum), P_k = integral of G f_k / F_k. Where deviations are alike, an even grid of half the smallest of them is
    enough: the trapezoidal rule converges exponentially for integrands that are smooth and vanish at both ends
    (Trefethen & Weideman, SIAM Review 56(3), 2014, theorem 5.1); 64 arms are integrated to 3e-6. Where one deviation is
    much smaller than another, such a grid would be long; then nodes go where each arm needs them, at an error of 2e-4
    or less (`_integrated_unevenly`).
    """
    least = min(sds.tolist())  # of a few numbers, lists tell before an array's reduction has started
    if least < _LEAST_SD:
        sds, least = np.maximum(sds, _LEAST_SD), _LEAST_SD
    reach = _REACH * sds
    highs = means + reach
    low, each_high = max((means - reach).tolist()), highs.tolist()
    high = max(each_high)
    count, contenders = len(each_high), None
    if min(each_high) <= low:
        contenders = np.flatnonzero(highs > low)
        means, sds = means[contenders], sds[contenders]
        count, least = len(contenders), min(sds.tolist())
    step = _STEP_SD * least
    length = (high - low) / step
    if length < _node_count(count) * count:  # the even grid is the shorter
        probs = _integrated_evenly(means, sds, low, step, count=int(length) + 2)
    else:
        probs = _integrated_unevenly(means, sds, np.asarray(low))
    if contenders is None:
        return probs
    of_all = np.zeros(len(each_high))
    of_all[contenders] = probs
    return of_all


def best_arm_probs_many(means: Floats, sds: Floats) -> Floats:
    """Return what `best_arm_probs` does for m rows of beliefs at once: (m, K) and (m, K) -> (m, K)."""
    probs = np.zeros(means.shape)
    sds = np.maximum(sds, _LEAST_SD)
    highs = means + _REACH * sds
    lows = (means - _REACH * sds).max(axis=1)
    contend = highs > lows[:, None]
    counts = contend.sum(axis=1)
    probs[counts == 1] = contend[counts == 1]
    steps = _STEP_SD * np.where(contend, sds, np.inf).min(axis=1)
    lengths = (highs.max(axis=1) - lows) / steps
    node_counts = np.array([_node_count(count) for count in range(means.shape[1] + 1)])
    even = (counts > 1) & (lengths < node_counts[counts] * counts)
    means = np.where(contend, means, -np.inf)
    rows = np.flatnonzero(even)
    rows = rows[np.argsort(lengths[rows], kind="stable")]  # grids of a chunk are as long as its longest
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        count = int(lengths[part[-1]]) + 2
        probs[part] = _integrated_evenly_many(means[part], sds[part], lows[part], steps[part], count=count)
    order = np.argsort(~contend, axis=1, kind="stable")  # contenders first, in the order of the arms
    for count in np.unique(counts[~even & (counts > 1)]).tolist():
        rows = np.flatnonzero(~even & (counts == count))
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            at = part[:, None], order[part, :count]
            probs[at] = _integrated_unevenly(means[at], sds[at], lows[part])
    return probs


def _integrated_evenly(mean: Floats, sd: Floats, low: float, step: float, *, count: int) -> Floats:
    """Return the probabilities of arms (K,) by the trapezoidal rule on `count` points, `step` apart.

    No arm's first point, at `low`, is more than the reach below its mean.
    """
    scale = (1.0 / _TABLE_STEP) / sd
    cells = (scale * step)[:, None].dot(_counting(count))  # (K, n): twice as fast as broadcasting
    cells += ((low - mean) * scale - _TABLE_LOW / _TABLE_STEP)[:, None]
    log_f, hazard = _at(cells)
    g = np.exp(_ones(len(mean)).dot(log_f))  # (n,); a sum over the arms
    probs: Floats = hazard.dot(g) / sd
    probs /= sum(probs.tolist())
    return probs


def _integrated_evenly_many(mean: Floats, sd: Floats, low: Floats, step: Floats, *, count: int) -> Floats:
    """Return what `_integrated_evenly` does for m rows at once, (m, K); an arm of mean -inf does not contend."""
    scale = (1.0 / _TABLE_STEP) / sd
    cells = np.multiply.outer(scale * step[:, None], _counting(count)[0])  # (m, K, n)
    cells += ((low[:, None] - mean) * scale - _TABLE_LOW / _TABLE_STEP)[:, :, None]
    log_f, hazard = _at(cells)
    g = np.exp(np.add.reduce(log_f, axis=1))  # (m, n)
    probs: Floats = (hazard @ g[:, :, None])[:, :, 0] / sd
    probs /= np.add.reduce(probs, axis=1, keepdims=True)
    return probs


@cache
def _counting(count: int) -> Floats:
    """Return 0, 1, ... below `count`, shape (1, count)."""
    return np.arange(float(count))[None, :]


@cache
def _ones(count: int) -> Floats:
    return np.ones(count)


def _at(cells: Floats) -> Floats:
    """Return log Phi and phi / Phi at cells (...,) of the table, none below 0, (2, ...); overwrites `cells`."""
    np.minimum(cells, _LAST_CELL, out=cells)
    cell = np.floor(cells)
    cells -= cell  # how far into it
    entries = _table().take(cell.astype(np.intp), axis=1)  # all four at once: each look-up has to start
    values: Floats = entries[2:]
    values *= cells
    values += entries[:2]
    return values


def _integrated_unevenly(mean: Floats, sd: Floats, low: Floats) -> Floats:
    """Return the probabilities of contenders, (..., K), on grids from `low` (...,) up.

    P_k = integral of G dlog F_k. On each cell of a grid that resolves every contender's own scale, the exact mass
    of the cell, G(b) - G(a), is shared among the arms in proportion to log F_k(b) - log F_k(a), and moved between them
    as far as their hazards f_k / F_k say that shares change within the cell, where more of the mass lies to the right.
    The error is third order in the cell's width. Deviations a factor 1000 apart cost the same as equal ones.
    """
    grid = _grid(mean, sd, low)  # (..., n)
    log_f, hazard = _log_cdf_and_hazard((grid[..., None, :] - mean[..., None]) / sd[..., None])  # (..., K, n)
    hazard /= sd[..., None]
    log_g = log_f.sum(axis=-2)
    shares = hazard / (hazard.sum(axis=-2) + 1e-300)[..., None, :]  # where nobody is in doubt any more: nobody
    step = np.maximum(log_g[..., 1:] - log_g[..., :-1], 1e-300)
    g = np.exp(log_g)
    mass = g[..., 1:] - g[..., :-1]
    per_step = mass / step
    # The mass right of the cell's middle on the scale of log G: its first moment, less half of it.
    right = np.where(step > _LEAST_STEP, g[..., 1:] - per_step - 0.5 * mass, 0.0)
    unnormalised = (log_f[..., 1:] - log_f[..., :-1]) @ per_step[..., None] + (
        shares[..., 1:] - shares[..., :-1]
    ) @ right[..., None]
    probs = np.maximum(unnormalised[..., 0], 0.0)
    total: Floats = probs / probs.sum(axis=-1)[..., None]
    return total


def _grid(mean: Floats, sd: Floats, low: Floats) -> Floats:
    """Return the sorted union of every contender's nodes from `low` up, shape (..., n)."""
    nodes = _standard_nodes(_node_count(mean.shape[-1]))
    points = (mean[..., None] + sd[..., None] * nodes).reshape(*mean.shape[:-1], -1)
    np.maximum(points, np.asarray(low)[..., None], out=points)
    points.sort(axis=-1)
    return points


@cache
def _node_count(arms: int) -> int:
    """Return how many nodes each of so many contenders has on an uneven grid."""
    return max(_MIN_NODES_PER_ARM, _NODES // max(arms, 1))


@cache
def _standard_nodes(count: int) -> Floats:
    """Return `count` nodes over [-6, 6], denser where a Gaussian has its mass."""
    t = np.linspace(-1.0, 1.0, count)
    return _REACH * (0.6 * t + 0.4 * t**3)


@cache
def _table() -> Floats:
    """Return log Phi and phi / Phi on the table's grid, and their steps to the next entry, (4, n)."""
    points = np.arange(_TABLE_LOW, _TABLE_HIGH + _TABLE_STEP, _TABLE_STEP)
    log_cdf = np.array([math.log(0.5 * math.erfc(-z / math.sqrt(2.0))) for z in points])
    hazard = np.exp(-0.5 * points**2 - log_cdf) / math.sqrt(2.0 * math.pi)
    hazard[points >= _REACH - _TABLE_STEP] = 0.0  # what is left there would weigh much for an arm that is certain
    values = np.stack([log_cdf, hazard])
    return np.concatenate([values, np.diff(values, append=values[:, -1:])])


def _log_cdf_and_hazard(z: Floats) -> Floats:
    """Return log Phi(z) and phi(z) / Phi(z) by linear interpolation, to 3e-6, (2, ...); overwrites z (...,)."""
    z -= _TABLE_LOW
    z *= 1.0 / _TABLE_STEP
    return _at(np.maximum(z, 0.0, out=z))
