"""The columns that answers are judged by: what gates regress on, as arrays, and nothing learned."""

import numpy as np

from highwayman.env.types import Floats

SIGNAL_WIDTH = 4  # columns of a signal: whether it is told, its size, how far it is beyond each hinge
NEXT_WIDTH = 5  # the constant, what is expected of the next answer, and of the other, how good that is; x own
_HINGES = (1 / 3, 2 / 3)
_LEAST_SPREAD = 0.05


def answer_vectors(expected: Floats, values: Floats) -> Floats:
    """Return what answers are judged by, (n, 2 + 4 m), for qualities expected (n,) and m signals' values (n, m).

    A signal that is missing, NaN, has zeros.
    """
    told = ~np.isnan(values)
    sizes = np.where(told, _squashed(np.where(told, values, 0.0)), 0.0)
    x = np.empty((len(values), 2 + SIGNAL_WIDTH * values.shape[1]))
    x[:, 0], x[:, 1] = 1.0, expected - 0.5
    blocks = [told, sizes, *(np.maximum(np.abs(sizes) - hinge, 0.0) for hinge in _HINGES)]
    for place, block in enumerate(blocks, 2):
        x[:, place::SIGNAL_WIDTH] = block
    return x


def next_vector(expected: Floats, before: float | Floats, good: Floats) -> Floats:
    """Return what the next arm's remainder is regressed on, (..., 5), for arrays of one shape or that broadcast."""
    own, now = expected - 0.5, good - 0.5
    x = np.empty((*np.broadcast_shapes(own.shape, now.shape), NEXT_WIDTH))
    x[..., 0], x[..., 1], x[..., 2], x[..., 3] = 1.0, own, np.subtract(before, 0.5), now
    x[..., 4] = own * now
    return x


def remainder_sums(expected: float, weight: float, weighted: float, squared: float) -> dict[str, float]:
    """Return the sums of w, w*y and w*y**2 for y = r - expected."""
    return {
        "weight": weight,
        "weighted": weighted - weight * expected,
        "squared": squared - 2.0 * expected * weighted + weight * expected**2,
    }


def bernoulli_spread(expected: Floats) -> Floats:
    """Return the deviation of what is 1 with such a probability: how far looking can move it at most."""
    spread: Floats = np.sqrt(np.maximum(expected * (1.0 - expected), _LEAST_SPREAD**2))
    return spread


def _squashed(values: Floats) -> Floats:
    """Return signals within (-1, 2), rising with them; what lies in [0, 1] stays.

    Log probabilities become probabilities less one.
    """
    above = 2.0 - 1.0 / np.maximum(values, 1.0)
    squashed: Floats = np.where(values < 0.0, np.expm1(np.minimum(values, 0.0)), np.where(values <= 1.0, values, above))
    return squashed
