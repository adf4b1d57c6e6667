"""RouterEval's measures of a router (Huang et al. 2025, arXiv 2503.10657), as its own program computes them."""

from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats


@dataclass(frozen=True, slots=True)
class RouterEvalScores:
    """What a router comes to on a pool of candidates."""

    mu: float  # its mean quality
    v_b: float  # mu over the mean quality of the best single candidate
    v_r: float | None  # mu over a reference model's; None: there is no reference
    e_p: float  # mean entropy of its choices, in bits: 0 takes one candidate for certain, log2(K) all alike


def router_eval_scores(quality: Floats, probs: Floats, *, reference: float | None = None) -> RouterEvalScores:
    """Return the measures of choices with `probs` (n, K) where candidates have `quality` (n, K).

    Its programs draw no arm but take the most probable, and measure the entropy of what they made it from. Here quality
    is expected over the draws, and entropy is that of the draws: a router that always takes its favourite has 0.

    Args:
        quality: (n, K) in [0, 1].
        probs: (n, K) rows that sum to 1.
        reference: accuracy of a well-known model on the same prompts, for V_R.
    """
    mu = float((probs * quality).sum(axis=1).mean())
    bits = np.where(probs > 0, probs * np.log2(np.where(probs > 0, probs, 1.0)), 0.0)
    return RouterEvalScores(
        mu=mu,
        v_b=mu / float(quality.mean(axis=0).max()),
        v_r=None if reference is None else mu / reference,
        e_p=abs(float(bits.sum(axis=1).mean())),
    )
