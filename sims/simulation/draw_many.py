"""`bandit.draw` for a block of rounds at once: the same actions, to the last bit, from the same uniform numbers."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Indices

_TOLERANCE = 1e-6


def draw_many(probs: Floats, *, floor: float, uniforms: Floats) -> tuple[Indices, Floats]:
    """Return the actions (m,) drawn from `probs` (m, K) mixed with the uniform floor, and the mixture (m, K).

    Args:
        probs: one distribution a row.
        floor: share of the probability that is spread evenly over the K arms.
        uniforms: (m,) in [0, 1), one for each row, in the order in which `draw` would take them from its generator.

    Raises:
        ValueError: `floor` outside [0, 1], or a row is no distribution; names the first such row.
    """
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"floor must be in [0, 1], got {floor!r}")
    if probs.ndim != 2 or probs.shape[0] != len(uniforms) or not probs.shape[1]:
        raise ValueError(f"probs must have shape ({len(uniforms)}, K), got {probs.shape}")
    rows = np.ascontiguousarray(probs)  # so that a row is summed in the same order as on its own
    totals = rows.sum(axis=1)
    fine = (np.abs(totals - 1.0) <= _TOLERANCE) & (rows.min(axis=1) >= 0.0)
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        raise ValueError(f"row {row} of probs must be probabilities, its sum is {float(totals[row])!r}")
    mixed: Floats = (1.0 - floor) * (rows / totals[:, None]) + floor / rows.shape[1]
    edges = np.cumsum(mixed, axis=1)
    actions: Indices = (edges <= (uniforms * edges[:, -1])[:, None]).sum(axis=1, dtype=np.intp)
    return actions, mixed
