"""Linear Thompson sampling whose action probabilities are computed, not sampled."""

import math
from typing import Any

import numpy as np

from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.regression.linear_policy import LinearPolicy
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Floats


class LinTS(LinearPolicy):
    """Chooses an arm with the probability that it is the best one, given what is known.

    Agrawal & Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", ICML 2013 (arXiv 1209.3352), with
    one regression per arm. They draw a sample and take its argmax; here P(argmax) itself is integrated and returned,
    so that the shared draw knows every propensity. Routing breaks their assumption that rewards arrive before the
    next round: feedback is late, and most answers never get any.
    """

    def __init__(self, *, d: int, fingerprint: str = "", exploration: float = 0.75, **prior: Any) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            exploration: factor on the posterior's standard deviations; 1 is Thompson sampling proper, less learns
                sooner and more often stays with an arm that is not the best (docs/explanation/policy.md).
            prior: options of `LinearPosterior`.
        """
        if not (math.isfinite(exploration) and exploration > 0):
            raise ValueError(f"exploration must be a number > 0, got {exploration!r}")
        super().__init__(d=d, fingerprint=fingerprint, **prior)
        self._exploration = exploration

    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return P(arm has the largest quality minus penalty)."""
        sds = spreads * (self._exploration * np.sqrt(summary.noise_variance))
        if utilities.ndim == 1:
            return best_arm_probs(utilities, sds)
        return best_arm_probs_many(utilities, sds)
