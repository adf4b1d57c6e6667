"""What an answer's quality and speed come to for its price: one number beside the reward, never part of it."""

import math

import numpy as np

from highwayman.env.types import Floats


def inference_efficiencies(
    quality: Floats, latency_s: Floats | None, cost_usd: Floats, *, alpha: float = 0.5
) -> Floats:
    """Return the Inference Efficiency Score of n calls, shape (n,), per dollar of 1,000 such calls; NaN where unpriced.

    IES(q) = (alpha * Q(q) + (1 - alpha) * R(q)) / C(M), after Behera et al., "Towards Efficient Multi-LLM Inference",
    2025 (arXiv 2506.06579), whose formula we know at second hand. The survey leaves the scales of R and C open. Here
    R = 1 / (1 + latency in seconds), in (0, 1], and C is dollars, of the survey's compute, memory, energy and money
    what a router sees. A quotient favours what is nearly free, however bad: it is shown, and nothing is chosen by it.
    A mean of such quotients is ruled by the cheapest calls, and compares under one alpha only.

    Args:
        quality: (n,) in [0, 1].
        latency_s: (n,) seconds to each answer's last byte; None: unknown, which only alpha = 1 permits.
        cost_usd: (n,) of each call; 0, negative or not finite: it has no price, and so no score.
        alpha: share of quality, in [0, 1].

    Raises:
        ValueError: `alpha` or a quality is out of range, or a latency is negative or unknown.
    """
    if not (0 <= alpha <= 1 and ((quality >= 0) & (quality <= 1)).all()):
        raise ValueError(f"need alpha and quality in [0, 1], got {alpha!r} and {quality!r}")
    if latency_s is None and alpha < 1:
        raise ValueError(f"latency is unknown, so alpha must be 1, got {alpha!r}")
    if latency_s is not None and not (latency_s >= 0).all():
        raise ValueError(f"need latency_s >= 0, got {latency_s!r}")
    benefit = quality if latency_s is None else alpha * quality + (1 - alpha) / (1 + latency_s)
    priced = np.where(np.isfinite(cost_usd) & (cost_usd > 0), cost_usd, np.nan)
    return np.asarray(benefit / (1000 * priced), dtype=np.float64)


def inference_efficiency(
    quality: float, latency_s: float, cost_usd: float | None, *, alpha: float = 0.5
) -> float | None:
    """Return the score of one call, as `inference_efficiencies` has it; None where unpriced. Raises ValueError.

    >>> inference_efficiency(0.8, 1.0, 0.002)  # (half of .8 and half of 1 / (1 + 1 s)), over the $2 of a thousand calls
    0.325
    """
    dollars = math.nan if cost_usd is None else cost_usd
    (score,) = inference_efficiencies(np.array([quality]), np.array([latency_s]), np.array([dollars]), alpha=alpha)
    return None if math.isnan(score) else float(score)
