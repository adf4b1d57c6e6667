"""Thompson sampling that learns from which of two answers people prefer, and from rewards alike."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.preferences.preference_posterior import PreferencePosterior, PreferencePrior
from highwayman.env.types import Context, Floats, PreferenceChange, RewardChange


class DuelingLinTS:
    """Chooses an arm with the probability that it is the best one, given rewards and comparisons.

    Bengs, Saha & Hüllermeier, "Stochastic Contextual Dueling Bandits under Linear Stochastic Transitivity Models", ICML
    2022 (arXiv 2202.04593): their logistic model of linear utilities, but P(argmax) itself is integrated and returned,
    and one answer is served. That preferences teach routing is shown by Ong et al., "RouteLLM: Learning to Route LLMs
    with Preference Data", 2024 (arXiv 2406.18665), offline and for two models. Routing breaks the assumption of the
    first that every round is a duel which the policy arranged: most answers stand alone, and who compares two has
    chosen to. Arms are taken for independent, with deviations that are right for differences of two of them where all
    are compared alike, and near it in chains of comparisons (see `PreferencePosterior.mean_and_std`, with what that
    costs).
    """

    learns_preferences: Literal[True] = True

    def __init__(
        self, *, d: int, fingerprint: str = "", exploration: float = 0.75, comparisons: int = 2000, **prior: Any
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            exploration: factor on the posterior's standard deviations; 1 is Thompson sampling proper.
            comparisons: that are held one by one and can be taken back exactly; older ones count as Gaussian evidence.
            prior: options of `PreferencePrior`, among them `scale`, from quality to log-odds of being preferred.
        """
        if not (math.isfinite(exploration) and exploration > 0):
            raise ValueError(f"exploration must be a number > 0, got {exploration!r}")
        self.posterior = PreferencePosterior(
            d=d, fingerprint=fingerprint, comparisons=comparisons, prior=PreferencePrior(**prior)
        )
        self._exploration = exploration

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, sds = self.posterior.mean_and_std(context.features, arms)
        return best_arm_probs(means - penalties, sds * self._exploration)

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, sds = self.posterior.mean_and_std_many(features, arms)
        return best_arm_probs_many(means - penalties, sds * self._exploration)

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self.posterior.mean_and_std(context.features, arms)[0]

    def learn(self, changes: Sequence[RewardChange | PreferenceChange]) -> None:
        """Fold changes of reward and of preference in, in log order."""
        self.posterior.update(changes)

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior."""
        self.posterior.add_arm(name)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not scored, and its statistics stay."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""
        return self.posterior.state()

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        self.posterior.restore(state)
