"""RouterArena's measures of a router (Lu et al. 2025, arXiv 2510.00202), as its own program computes them."""

import math
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats

_BETA = 0.1  # how little accuracy's weight is beside that of cost, in the score's harmonic mean
_DEAREST_USD, _CHEAPEST_USD = 200.0, 0.0044  # of 1,000 queries: where cost counts for nothing, and in full


def arena_score(accuracy: float, usd_per_1000: float, *, beta: float = _BETA) -> float:
    """Return the score in [0, 1]: (1 + beta) A C / (beta A + C), where C is how cheap 1,000 queries are.

    C goes logarithmically from 1 at $0.0044 to 0 at $200; what is cheaper or dearer counts as these. Its authors'
    program does not limit it, and has scores above 1 for free answers.

    Raises:
        ValueError: accuracy is not in [0, 1], or dollars are no number >= 0.
    """
    if not 0.0 <= accuracy <= 1.0 or not (math.isfinite(usd_per_1000) and usd_per_1000 >= 0):
        raise ValueError(f"need accuracy in [0, 1] and usd_per_1000 >= 0, got {accuracy!r} and {usd_per_1000!r}")
    usd = min(max(usd_per_1000, _CHEAPEST_USD), _DEAREST_USD)
    cheapness = math.log(_DEAREST_USD / usd) / math.log(_DEAREST_USD / _CHEAPEST_USD)
    weighted = beta * accuracy + cheapness
    return (1.0 + beta) * accuracy * cheapness / weighted if weighted else 0.0


@dataclass(frozen=True, slots=True)
class Optimality:
    """How near a router came to the cheapest arm that answers right, over prompts that some arm does; NaN: none."""

    selection: float  # Opt.Sel: share of prompts that went to that arm
    cost: float  # Opt.Cost: dollars of those arms over what the router spent
    accuracy: float  # Opt.Acc: quality over what those arms have, which is 1


def optimality(quality: Floats, cost_usd: Floats, probs: Floats) -> Optimality:
    """Return how near choices with `probs` (n, K) came to the cheapest right answers, quality and cost_usd (n, K).

    Right is a quality of 1. Of several cheapest arms each counts.
    """
    usd = np.where(quality >= 1.0, cost_usd, np.inf)
    best = usd.min(axis=1)
    rows = np.isfinite(best)
    if not rows.any():
        return Optimality(math.nan, math.nan, math.nan)
    chosen = probs[rows]
    is_best = usd[rows] == best[rows, None]
    spent = float((chosen * cost_usd[rows]).sum())
    return Optimality(
        selection=float((chosen * is_best).sum(axis=1).mean()),
        cost=float(best[rows].sum()) / spent if spent > 0 else math.nan,
        accuracy=float((chosen * quality[rows]).sum(axis=1).mean()),
    )
