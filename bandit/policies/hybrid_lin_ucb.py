"""Linear upper confidence bounds over what arms share and what is their own."""

import math
from collections.abc import Mapping, Sequence

from highwayman.bandit.draw import greedy_probs
from highwayman.bandit.regression.hier_posterior import HierPosterior, HierPrior
from highwayman.bandit.regression.hybrid_posterior import HybridPosterior
from highwayman.bandit.regression.regression_policy import RegressionPolicy
from highwayman.env.types import Context, Floats


class HybridLinUCB(RegressionPolicy[HierPosterior]):
    """Chooses the arm whose quality could be highest, learning from every arm's answers what is common to all.

    Li, Chu, Langford & Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation", WWW 2010
    (arXiv 1003.0146), algorithm 2. An arm's features (its size, its price, what it was trained for) pair with the
    query's; a new arm starts at what arms like it have shown, with more doubt. Routing breaks their assumption that
    rewards arrive before the next round: until one comes, equal queries get the same arm.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        alpha: float = 0.3,
        arm_features: Mapping[str, Sequence[float]] | None = None,
        precision: float = 10.0,
        shared_precision: float = 2.0,
        prior_mean: float = 0.6,
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            alpha: factor on the deviation in units of the noise's, in quality units.
            arm_features: (q,) numbers for each arm that has any, of order 1.
            precision: of an arm's own features, in units of the noise.
            shared_precision: of the shared ones.
            prior_mean: expected quality of an arm nothing is known of.
        """
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha must be a number >= 0, got {alpha!r}")
        if not (math.isfinite(precision) and precision > 0):
            raise ValueError(f"precision must be > 0, got {precision!r}")
        same = {"early_precision": precision, "final_precision": precision}
        prior = HierPrior(**same, shared_precision=shared_precision, prior_mean=prior_mean)
        self.posterior = HybridPosterior(d=d, fingerprint=fingerprint, prior=prior, arm_features=arm_features or {})
        self._alpha = alpha

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return 1 for the arm with the largest bound, shape (K,); equal ones share it."""
        means, spreads = self.posterior.mean_and_std(context.features, arms)
        return greedy_probs(means - penalties + self._alpha * spreads)

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self.posterior.mean_and_std_many(features, arms)
        return greedy_probs(means - penalties + self._alpha * spreads)
