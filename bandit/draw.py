"""The one place where an arm is drawn, so that every policy's propensity is exact."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """An action, the probabilities (K,) it was drawn from, and its own."""

    action: int
    probs: Floats
    propensity: float


def draw(probs: Floats, *, floor: float, rng: np.random.Generator) -> Draw:
    """Return the action drawn from `probs` (K,) mixed with the uniform floor; its propensity is >= floor / K.

    Raises:
        ValueError: `floor` outside [0, 1], or `probs` no distribution (a policy's bug, named before it costs money).
    """
    mixed = mix(probs, floor=floor)
    edges = mixed.cumsum()
    # The last edge may round below 1; scaling by it keeps every draw on an arm with positive probability.
    action = int(edges.searchsorted(rng.random() * edges[-1], side="right"))
    return Draw(action, mixed, propensity=float(mixed[action]))


def one_hot_argmax(probs: Floats) -> Floats:
    """Return 1 for the most probable arm, the first of equal ones, shape (K,): what is drawn from without exploration.

    The propensity is 1 and the other arms count as not eligible, so that estimates from the log stay right.
    """
    chosen = np.zeros(len(probs))
    chosen[int(probs.argmax())] = 1.0
    return chosen


def mix(probs: Floats, *, floor: float) -> Floats:
    """Return `probs` (K,) mixed with the uniform floor: what an arm is drawn from. Raises ValueError as `draw` does."""
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"floor must be in [0, 1], got {floor!r}")
    total = float(probs.sum()) if probs.ndim == 1 and len(probs) else float("nan")
    if not (abs(total - 1.0) <= _TOLERANCE and probs.min() >= 0.0):
        raise ValueError(f"probs must be a non-empty vector of probabilities, got shape {probs.shape}, sum {total!r}")
    mixed: Floats = (1.0 - floor) * (probs / total) + floor / len(probs)
    return mixed


def greedy_probs(values: Floats) -> Floats:
    """Return 1 for the largest value of each row, of (K,) or (m, K); equal ones share it."""
    best = (values == values.max(axis=-1, keepdims=True)).astype(np.float64)
    shares: Floats = best / best.sum(axis=-1, keepdims=True)
    return shares
