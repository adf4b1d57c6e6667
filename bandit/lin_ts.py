"""Linear Thompson sampling whose action probabilities are computed, not sampled."""

import math
from collections.abc import Sequence
from typing import Any

from highwayman.bandit.best_arm import best_arm_probs
from highwayman.bandit.posterior import LinearPosterior
from highwayman.env.types import Context, Floats, RewardChange


class LinTS:
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
                sooner and more often stays with an arm that is not the best (docs/policy.md).
            prior: options of `LinearPosterior`.
        """
        if not (math.isfinite(exploration) and exploration > 0):
            raise ValueError(f"exploration must be a number > 0, got {exploration!r}")
        self._posterior = LinearPosterior(d=d, fingerprint=fingerprint, **prior)
        self._exploration = exploration

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, sds = self._posterior.predict(context.features, arms)
        return best_arm_probs(means - penalties, sds * self._exploration)

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the posterior, in log order."""
        self._posterior.update(changes)

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior."""
        self._posterior.add_arm(name)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not asked about, and its statistics stay."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""
        return self._posterior.state()

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        self._posterior.restore(state)
