"""Inverse gap weighting: the worse an arm looks, the less often it is tried."""

import math
from typing import Any

import numpy as np

from highwayman.bandit.regression.linear_policy import LinearPolicy
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Floats


class SquareCB(LinearPolicy):
    """Tries an arm in inverse proportion to how much worse than the best it is expected to be.

    Foster & Rakhlin, "Beyond UCB: Optimal and Efficient Contextual Bandits with Regression Oracles", ICML 2020 (arXiv
    2002.04926), after Abe & Long 1999: p_k = 1 / (K + gamma (u_best - u_k)) for every arm but the best, which gets the
    rest. Their guarantee asks for gamma in proportion to sqrt(K T); here it grows with the weight of feedback seen,
    gamma = scale * seen^power. Routing breaks their assumption that each round's reward is learned before the next.
    """

    def __init__(self, *, d: int, fingerprint: str = "", scale: float = 10.0, power: float = 0.5, **prior: Any) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            scale: gamma when one answer's feedback has been seen, in 1 / quality units.
            power: how fast gamma grows; 0 keeps it at `scale`.
            prior: options of `LinearPosterior`.
        """
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be a number > 0, got {scale!r}")
        if not 0 <= power <= 1:
            raise ValueError(f"power must be in [0, 1], got {power!r}")
        super().__init__(d=d, fingerprint=fingerprint, **prior)
        self._scale = scale
        self._power = power

    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return inverse gap weights."""
        gamma = self._scale * np.maximum(summary.total_weight, 1.0) ** self._power
        gaps = utilities.max(axis=-1, keepdims=True) - utilities
        weights: Floats = 1.0 / (utilities.shape[-1] + gamma * gaps)
        best = utilities.argmax(axis=-1)[..., None]
        np.put_along_axis(weights, best, 0.0, axis=-1)
        np.put_along_axis(weights, best, 1.0 - weights.sum(axis=-1, keepdims=True), axis=-1)
        return weights
