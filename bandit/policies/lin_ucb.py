"""Linear upper confidence bounds, one regression per arm."""

import math
from typing import Any

from highwayman.bandit.draw import greedy_probs
from highwayman.bandit.regression.linear_policy import LinearPolicy
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Floats


class LinUCB(LinearPolicy):
    """Chooses the arm whose quality could be highest, as far as is known: mean plus `alpha` deviations.

    Li, Chu, Langford & Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation", WWW 2010
    (arXiv 1003.0146), algorithm 1, with disjoint arms: argmax_k theta_k^T x + alpha sqrt(x^T A_k^-1 x). Routing breaks
    their assumption that rewards arrive before the next round: until one comes, equal queries get the same arm. The
    shared floor makes the choice random, so that the log can judge other policies.
    """

    def __init__(self, *, d: int, fingerprint: str = "", alpha: float = 0.3, **prior: Any) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            alpha: factor on sqrt(x^T A^-1 x), in quality units.
            prior: options of `LinearPosterior`.
        """
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha must be a number >= 0, got {alpha!r}")
        super().__init__(d=d, fingerprint=fingerprint, **prior)
        self._alpha = alpha

    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return 1 for the arm with the largest bound; equal ones share it."""
        return greedy_probs(utilities + self._alpha * spreads)
