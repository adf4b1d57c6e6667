"""What an answer's quality and speed come to for its price: one number beside the reward, never part of it."""

import math


def inference_efficiency(
    quality: float, latency_s: float, cost_usd: float | None, *, alpha: float = 0.5
) -> float | None:
    """Return the Inference Efficiency Score, per dollar of a thousand such calls; None where they have no price.

    IES(q) = (alpha * Q(q) + (1 - alpha) * R(q)) / C(M), after the survey "Towards Efficient Multi-LLM Inference"
    (arXiv 2506.06579, 2025). The survey leaves the scales of R and C open. Here R = 1 / (1 + latency in seconds), in
    (0, 1], and C is dollars, of the survey's compute, memory, energy and money what a router sees.
    A quotient favours what is nearly free, however bad: it is shown, and nothing is chosen by it.

    Args:
        quality: in [0, 1].
        latency_s: seconds to the answer's last byte.
        cost_usd: of the call.
        alpha: share of quality, in [0, 1].

    Raises:
        ValueError: `alpha` or `quality` is out of range, or `latency_s` is negative.
    """
    if not (0 <= alpha <= 1 and 0 <= quality <= 1 and latency_s >= 0):
        raise ValueError(f"need alpha and quality in [0, 1], latency_s >= 0; got {alpha!r}, {quality!r}, {latency_s!r}")
    if cost_usd is None or not (math.isfinite(cost_usd) and cost_usd > 0):
        return None
    return (alpha * quality + (1 - alpha) / (1 + latency_s)) / (1000 * cost_usd)
