"""Thompson sampling over regressions that share what is common to all arms: the default policy."""

import math
from collections.abc import Sequence
from typing import Any

from highwayman.bandit.best_arm import best_arm_probs, best_arm_probs_many
from highwayman.bandit.fading import Fading
from highwayman.bandit.hier_posterior import HierPosterior, HierPrior
from highwayman.bandit.prior import Prior
from highwayman.env.types import Context, Floats, RewardChange


class HierTS:
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
            half_life_events: rounds of feedback after which what was said counts half; None: it does not fade so.
            half_life_hours: hours after which what was said counts half; at most one of the two is given.
            prior: options of `HierPrior`.
        """
        for name, value in (("exploration", exploration), ("patience", patience)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        self.posterior = HierPosterior(
            d=d,
            fingerprint=fingerprint,
            prior=HierPrior(**prior),
            fading=Fading.of(half_life_events, half_life_hours),
        )
        self._exploration = exploration
        self._patience = patience

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, spreads = self.posterior.spread(context.features, arms)
        return best_arm_probs(means - penalties, spreads * self._scale())

    def probs_many(self, features: Floats, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return what `probs` does for m contexts at once: (m, d) and (m, K) -> (m, K)."""
        means, spreads = self.posterior.spread_many(features, arms)
        return best_arm_probs_many(means - penalties, spreads * self._scale())

    def expected(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self.posterior.spread(context.features, arms)[0]

    def _scale(self) -> float:
        """Return by what deviations in units of the noise are multiplied."""
        known = self.posterior.known()
        lessons = float(known.weight_seen) / max(len(self.posterior.arms), 1)
        return self._exploration * math.sqrt(float(known.noise_variance) * min(1.0, self._patience / max(lessons, 1.0)))

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the posterior, in log order."""
        self.posterior.update(changes)

    def merge(self, other: "HierTS") -> None:
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
        """Put a new arm at what the others have in common, or let it begin like another.

        Args:
            name: of the arm.
            like: of an arm whose feedback is lent to it.
            weight: what that feedback is worth in all, in answers.
        """
        if like is None:
            self.posterior.add_arm(name)
        elif name not in self.posterior.arms:
            self.posterior.lend(like, name, weight=weight)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not asked about, and its statistics stay."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""
        return self.posterior.state()

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        self.posterior.restore(state)
