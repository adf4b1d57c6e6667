"""The one place where the floor is mixed in and an arm is drawn, so that every policy's propensity is exact."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Floats

Indices = npt.NDArray[np.intp]
Floor = float | Floats  # a share that is spread evenly over the K arms, or each arm's own (K,), for m rows (m, K)

_TOLERANCE = 1e-6
_BELOW_1 = 1.0 - 2.0**-53


@quick_dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """An action, the probabilities (K,) it was drawn from, and its own."""

    action: int
    probs: Floats
    propensity: float


def draw(probs: Floats, *, floor: Floor, rng: np.random.Generator) -> Draw:
    """Return the action drawn from `probs` (K,) mixed with the floor; its propensity is >= floor / K, or its own floor.

    Raises:
        ValueError: `floor` outside [0, 1], or `probs` no distribution (a policy's bug, named before it costs money).
    """
    mixed = mix(probs, floor=floor)
    shares = mixed.tolist()  # a list of few is gone through before an array has started
    edges = list(accumulate(shares))
    # The last edge may round below 1; scaling by it keeps every draw on an arm with positive probability.
    action = bisect_right(edges, rng.random() * edges[-1])
    return Draw(action, mixed, propensity=shares[action])


def draw_from_mixture(components: Floats, shares: Floats, *, rng: np.random.Generator) -> tuple[Draw, int]:
    """Return an action drawn from one of m distributions, and which one: the draw's probabilities are the mixture's.

    One uniform number gives both, as `draw` takes one.

    Args:
        components: (m, K), each a distribution.
        shares: (m,) how probable each of them is.
        rng: gives the number.
    """
    edges = np.add.accumulate(shares)
    uniform = rng.random() * edges[-1]
    component = int(edges.searchsorted(uniform, side="right"))
    within = (uniform - (edges[component] - shares[component])) / shares[component]
    inner = np.add.accumulate(components[component])
    # The quotient may round to 1 or below 0: kept within, every draw is on an arm with positive probability.
    action = int(inner.searchsorted(min(max(within, 0.0), _BELOW_1) * inner[-1], side="right"))
    mixed: Floats = shares @ components
    return Draw(action, mixed, propensity=float(mixed[action])), component


def shares_of(weights: Mapping[str, float], arms: Sequence[str]) -> Floats | None:
    """Return each of K arms' share of the weights, (K,), none of one that has no weight; None where no arm has any.

    >>> shares_of({"small": 3, "large": 1, "gone": 2}, ["small", "large"]).tolist()
    [0.75, 0.25]
    """
    weighed = np.array([weights.get(arm, 0.0) for arm in arms])
    total = float(np.add.reduce(weighed))
    return weighed / total if total > 0 else None


def one_hot_argmax(probs: Floats) -> Floats:
    """Return 1 for the most probable arm, the first of equal ones, shape (K,): what is drawn from without exploration.

    The propensity is 1 and the other arms count as not eligible, so that estimates from the log stay right.
    """
    chosen = np.zeros(len(probs))
    chosen[int(probs.argmax())] = 1.0
    return chosen


def mix(probs: Floats, *, floor: Floor) -> Floats:
    """Return `probs` (K,) mixed with the floor: what an arm is drawn from. Raises ValueError as `draw` does.

    >>> mix(np.array([1.0, 0.0]), floor=0.5).tolist()
    [0.75, 0.25]
    """
    # Reductions by name: those of arrays take twice as long to start.
    least: Floor
    if isinstance(floor, np.ndarray):
        share, least = float(np.add.reduce(floor)), floor
    else:
        share, least = floor, floor / max(len(probs), 1)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"floor must be in [0, 1], got {share!r}")
    total = float(np.add.reduce(probs)) if probs.ndim == 1 else math.nan
    if not (-_TOLERANCE <= total - 1.0 <= _TOLERANCE and min(probs.tolist()) >= 0.0):
        raise ValueError(f"probs must be a non-empty vector of probabilities, got shape {probs.shape}, sum {total!r}")
    mixed: Floats = probs * ((1.0 - share) / total)
    mixed += least
    return mixed


def draw_many(probs: Floats, *, floor: Floor, uniforms: Floats) -> tuple[Indices, Floats]:
    """Return the actions (m,) that `draw` takes for the rows of `probs` (m, K), to the last bit, and the mixtures.

    Args:
        probs: one distribution a row.
        floor: share of the probability that is spread evenly over the K arms, or each arm's (m, K).
        uniforms: (m,) in [0, 1), one for each row, in the order in which `draw` would take them from its generator.

    Raises:
        ValueError: as `mix_many`, or there is not one number for each row.
    """
    if len(probs) != len(uniforms):
        raise ValueError(f"probs must have shape ({len(uniforms)}, K), got {probs.shape}")
    mixed = mix_many(probs, floor=floor)
    edges = np.cumsum(mixed, axis=1)
    actions: Indices = (edges <= (uniforms * edges[:, -1])[:, None]).sum(axis=1, dtype=np.intp)
    return actions, mixed


def mix_many(probs: Floats, *, floor: Floor) -> Floats:
    """Return each row of `probs` (m, K) mixed with the floor as `mix` does, to the last bit, shape (m, K).

    Raises:
        ValueError: `floor` outside [0, 1], or a row is no distribution; names the first such row.
    """
    if probs.ndim != 2 or not probs.shape[1]:
        raise ValueError(f"probs must have shape (m, K), got {probs.shape}")
    if isinstance(floor, np.ndarray):
        shares, least = floor.sum(axis=1, keepdims=True), floor
    else:
        shares, least = np.array([[floor]]), np.array([[floor / probs.shape[1]]])
    outside = shares[~((shares >= 0.0) & (shares <= 1.0))]
    if len(outside):
        raise ValueError(f"floor must be in [0, 1], got {float(outside[0])!r}")
    rows = np.ascontiguousarray(probs)  # so that a row is summed in the same order as on its own
    totals = rows.sum(axis=1)
    valid = (np.abs(totals - 1.0) <= _TOLERANCE) & (rows.min(axis=1) >= 0.0)
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        raise ValueError(f"row {row} of probs must be probabilities, its sum is {float(totals[row])!r}")
    mixed: Floats = rows * ((1.0 - shares) / totals[:, None])
    mixed += least
    return mixed


def greedy_probs(values: Floats) -> Floats:
    """Return 1 for the largest value of each row, of (K,) or (m, K); equal ones share it."""
    best = (values == values.max(axis=-1, keepdims=True)).astype(np.float64)
    shares: Floats = best / best.sum(axis=-1, keepdims=True)
    return shares
