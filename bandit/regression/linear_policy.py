"""What the policies over one linear regression per arm share: all but how they choose."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.linear_posterior import LinearPosterior
from highwayman.bandit.regression.regression_policy import RegressionPolicy
from highwayman.bandit.regression.sequential import Indices, PosteriorSummary, SequentialPredictions
from highwayman.env.types import Context, Floats


class LinearPolicy(RegressionPolicy[LinearPosterior], ABC):
    """Keeps the posterior, and leaves it to a subclass how to choose from it."""

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        half_life_events: float | None = None,
        half_life_hours: float | None = None,
        **prior: Any,
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            half_life_events: rounds of feedback after which feedback counts half; None: it does not fade so.
            half_life_hours: hours after which feedback counts half; at most one of the two is given.
            prior: options of `LinearPosterior`.
        """
        forgetting = Forgetting.from_half_life(half_life_events, half_life_hours)
        self.posterior = LinearPosterior(d=d, fingerprint=fingerprint, forgetting=forgetting, **prior)

    @abstractmethod
    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return probabilities for expected quality minus penalty and sqrt(x^T A^-1 x), all (K,) or all (m, K).

        `summary` holds what else the regressions know, of all rounds alike or of each of the m.
        """

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`."""
        return self.probs_and_beliefs(context, arms, penalties)[0]

    def probs_and_beliefs(
        self, context: Context, arms: Sequence[str], penalties: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return `probs`, and with them `quality_and_deviation`, (K,) each."""
        means, spreads = self.posterior.mean_and_std(context.features, arms)
        summary = self.posterior.summary()
        return self.choose(means - penalties, spreads, summary), means, spreads * np.sqrt(summary.noise_variance)

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self.posterior.mean_and_std_many(features, arms)
        return self.choose(means - penalties, spreads, self.posterior.summary())

    def learn_sequentially(
        self,
        features: Floats,
        arms: Sequence[str],
        actions: Indices,
        rewards: Floats,
        *,
        at: Floats | None = None,
        frozen_for: int = 1,
    ) -> SequentialPredictions:
        """Learn m rounds of weight 1, and return what was believed before each, as `LinearPosterior` does."""
        return self.posterior.learn_sequentially(features, arms, actions, rewards, at=at, frozen_for=frozen_for)

    def learn_many(
        self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats, *, at: Floats | None = None
    ) -> None:
        """Learn m rounds of weight 1 at once: features (m, d), the rest (m,); NaN teaches nothing."""
        self.posterior.learn_many(features, arms, actions, rewards, at=at)
