"""What exploration cost: the difference between the probabilities a router draws from and its own first choice."""

import numpy as np

from highwayman.env.types import Floats
from highwayman.sims.measures.value import taken


def exploration_usd(cost_usd: Floats, probs: Floats, *, net: bool = False) -> float:
    """Return the dollars expected to be spent beyond the greedy choice, over all rounds.

    Sum over rounds of max(0, expected cost under `probs` - cost of the most probable arm). A round in which exploring
    is cheaper than the first choice counts 0, so this is what exploration spends, not what it spends on balance;
    `net` takes the plain difference, which may be negative. The most probable arm stands for the greedy choice, which
    holds for the floor and for epsilon-greedy; a Thompson policy's most probable arm need not be the one it expects
    most of. Of several most probable arms the mean counts, so that the order of arms does not matter.

    Args:
        cost_usd: (n, K) dollars a call costs; NaN in an arm that may be drawn makes the sum NaN.
        probs: (n, K) what was drawn from, floor included.
        net: whether savings are set against spending.
    """
    beyond = taken(cost_usd, probs) - taken(cost_usd, _first_choice(probs))  # (n,)
    return float((beyond if net else np.maximum(beyond, 0.0)).sum())


def _first_choice(probs: Floats) -> Floats:
    top = np.asarray(probs == probs.max(axis=1, keepdims=True), dtype=np.float64)
    return np.asarray(top / top.sum(axis=1, keepdims=True), dtype=np.float64)
