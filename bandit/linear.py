"""What the policies over one linear regression per arm share: all but how they choose."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from highwayman.bandit.fading import Fading
from highwayman.bandit.in_order import Beliefs, Indices, Known
from highwayman.bandit.posterior import LinearPosterior
from highwayman.bandit.prior import Prior
from highwayman.env.types import Context, Floats, RewardChange


class LinearPolicy(ABC):
    """Keeps the posterior, and asks a subclass how to choose from what it says."""

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
            half_life_events: rounds of feedback after which what was said counts half; None: it does not fade so.
            half_life_hours: hours after which what was said counts half; at most one of the two is given.
            prior: options of `LinearPosterior`.
        """
        fading = Fading.of(half_life_events, half_life_hours)
        self.posterior = LinearPosterior(d=d, fingerprint=fingerprint, fading=fading, **prior)

    @abstractmethod
    def choose(self, utilities: Floats, spreads: Floats, known: Known) -> Floats:
        """Return probabilities for expected quality minus penalty and sqrt(x^T A^-1 x), all (K,) or all (m, K).

        `known` says what else the regressions say, of all rounds alike or of each of the m.
        """

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`."""
        means, spreads = self.posterior.spread(context.features, arms)
        return self.choose(means - penalties, spreads, self.posterior.known())

    def expected(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self.posterior.spread(context.features, arms)[0]

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self.posterior.spread_many(features, arms)
        return self.choose(means - penalties, spreads, self.posterior.known())

    def learn_in_order(
        self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats, *, frozen_for: int = 1
    ) -> Beliefs:
        """Learn m rounds of weight 1, and return what was believed before each, as `LinearPosterior` does."""
        return self.posterior.learn_in_order(features, arms, actions, rewards, frozen_for=frozen_for)

    def learn_many(self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats) -> None:
        """Learn m rounds of weight 1 at once: features (m, d), the rest (m,); NaN teaches nothing."""
        self.posterior.learn_many(features, arms, actions, rewards)

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the posterior, in log order."""
        self.posterior.update(changes)

    def merge(self, other: "LinearPolicy") -> None:
        """Add what another shard of the same traffic learned. Raises ValueError where that cannot be."""
        self.posterior.merge(other.posterior)

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm. Raises ValueError for an unknown one."""
        return self.posterior.weight_of(arm)

    def doubt(self, arm: str, *, share: float) -> None:
        """Let what was said of an arm count for a share in (0, 1]: it has changed."""
        self.posterior.doubt(arm, share=share)

    def begin(self, prior: Prior) -> None:
        """Count what a prior says of its arms as if it had been told here; before anything is learned."""
        self.posterior.begin(prior)

    def add_arm(self, name: str, *, like: str | None = None, weight: float = 50.0) -> None:
        """Put a new arm at the prior, or let it begin like another.

        Args:
            name: of the arm.
            like: of an arm whose feedback is lent to it.
            weight: what that feedback is worth in all, in answers.
        """
        if like is None:
            self.posterior.add_arm(name)
        elif name not in self.posterior.arms:
            self.posterior.lend(like, name, weight=weight)

    def drop_arm(self, name: str) -> None:  # noqa: B027  (empty, and not to be overridden)
        """Do nothing: an arm that is not eligible is not asked about, and its statistics stay."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""
        return self.posterior.state()

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        self.posterior.restore(state)


def greedy(values: Floats) -> Floats:
    """Return 1 for the largest value of each row, of (K,) or (m, K); equal ones share it."""
    best = (values == values.max(axis=-1, keepdims=True)).astype(np.float64)
    shares: Floats = best / best.sum(axis=-1, keepdims=True)
    return shares
