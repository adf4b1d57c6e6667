"""Thompson sampling over regressions that share what is common to all arms: the default policy."""

import math
from collections.abc import Sequence
from typing import Any

from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.hier_posterior import HierPosterior, HierPrior
from highwayman.bandit.regression.regression_policy import RegressionPolicy
from highwayman.env.types import Context, Floats


class HierTS(RegressionPolicy[HierPosterior]):
    """Chooses an arm with the probability that it is the best one, given what is known of it and of all arms.

    Hong, Kveton, Katariya, Zaheer & Ghavamzadeh, "Hierarchical Bayesian Bandits", AISTATS 2022 (arXiv 2111.06929),
    algorithm 1, but P(argmax) itself is integrated and returned, over the arms' own parts: what they share moves all of
    them alike. It explores less than the posterior says, and less still once there is feedback of weight
    `patience` on each arm, by the root of how much more: measured to earn more on routing tables within 20,000 rounds
    (docs/learning.md). Routing breaks their assumption that rewards arrive before the next round.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        exploration: float = 0.75,
        patience: float = 250.0,
        half_life_events: float | None = None,
        half_life_hours: float | None = None,
        **prior: Any,
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            exploration: factor on the posterior's standard deviations; 1 is Thompson sampling proper.
            patience: weight of feedback per arm from which on exploration shrinks.
            half_life_events: rounds of feedback after which feedback counts half; None: it does not fade so.
            half_life_hours: hours after which feedback counts half; at most one of the two is given.
            prior: options of `HierPrior`.
        """
        for name, value in (("exploration", exploration), ("patience", patience)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        self.posterior = HierPosterior(
            d=d,
            fingerprint=fingerprint,
            prior=HierPrior(**prior),
            forgetting=Forgetting.from_half_life(half_life_events, half_life_hours),
        )
        self._exploration = exploration
        self._patience = patience

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, spreads = self.posterior.mean_and_std(context.features, arms)
        return best_arm_probs(means - penalties, spreads * self._scale())

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self.posterior.mean_and_std_many(features, arms)
        return best_arm_probs_many(means - penalties, spreads * self._scale())

    def _scale(self) -> float:
        """Return by what deviations in units of the noise are multiplied."""
        summary = self.posterior.summary()
        weight_per_arm = float(summary.total_weight) / max(len(self.posterior.arms), 1)
        return self._exploration * math.sqrt(
            float(summary.noise_variance) * min(1.0, self._patience / max(weight_per_arm, 1.0))
        )
