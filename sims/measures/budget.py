"""Whether spending kept to its ceiling, not only on average but all along."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats

WINDOW = 500
SETTLING = 200
_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Compliance:
    """How mean cost over rolling windows compares with the ceiling; NaN where a cost is unknown."""

    worst: float  # highest mean of a window, over the ceiling
    within: float  # share of windows at most 1% above the ceiling
    windows: int


def budget_compliance(
    cost_usd: Floats, ceiling_usd: float, *, window: int = WINDOW, settling: int = SETTLING
) -> Compliance:
    """Return how the mean metered cost of every `window` rounds in a row, after the first `settling`, keeps a ceiling.

    An average over the whole run would let a router overspend for days and save afterwards. A pacer needs some rounds
    to find its level, which are left out. If fewer rounds than a window are left, they are the one window.

    Args:
        cost_usd: (n,) dollars each request was metered at.
        ceiling_usd: dollars a request may cost on average.
        window: rounds in a window.
        settling: rounds left out at the start.

    Raises:
        ValueError: no round is left, or the ceiling is not above 0.
    """
    settled = cost_usd[settling:]
    if not (ceiling_usd > 0 and window >= 1 and len(settled)):
        raise ValueError(
            f"need a ceiling above 0, a window of at least 1 and more than {settling} rounds; "
            f"got {ceiling_usd!r}, {window!r} and {len(cost_usd)}"
        )
    if np.isnan(settled).any():
        return Compliance(float("nan"), float("nan"), 0)
    size = min(window, len(settled))
    sums = np.concatenate([[0.0], np.cumsum(settled)])
    ratios = (sums[size:] - sums[:-size]) / size / ceiling_usd
    return Compliance(float(ratios.max()), float((ratios <= 1.0 + _TOLERANCE).mean()), len(ratios))
