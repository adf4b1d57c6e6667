"""What policies over one regression per arm share, whatever ties the regressions together: all but how they choose."""

import math
from collections.abc import Sequence
from typing import Generic, Self, TypeVar

from highwayman.bandit.policy import HalfLife
from highwayman.bandit.regression.arm_posterior import ArmPosterior
from highwayman.bandit.regression.prior import Prior
from highwayman.env.types import Context, Floats, RewardChange

P = TypeVar("P", bound=ArmPosterior)


class RegressionPolicy(Generic[P]):
    """Keeps a posterior, and passes on to it whatever is learned, lent, discounted or restored."""

    posterior: P

    def expected_quality(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self.posterior.means(context.features, arms)

    def quality_and_deviation(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's expected quality and its standard deviation, (K,) at features (d,), (m, K) at (m, d)."""
        ask = self.posterior.mean_and_std if features.ndim == 1 else self.posterior.mean_and_std_many
        means, spreads = ask(features, arms)
        return means, spreads * math.sqrt(self.posterior.noise_variance())

    @property
    def half_life(self) -> HalfLife | None:
        """The half-life of feedback, in rounds of it or in hours; None: it counts for ever."""
        return self.posterior.half_life

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the posterior, in log order."""
        self.posterior.update(changes)

    def merge(self, other: Self) -> None:
        """Add what another shard of the same traffic learned. Raises ValueError where that cannot be."""
        self.posterior.merge(other.posterior)

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm. Raises ValueError for an unknown one."""
        return self.posterior.weight_of(arm)

    def discount(self, arm: str, *, share: float) -> None:
        """Let the feedback on an arm so far count for a share in (0, 1]: it has changed."""
        self.posterior.discount(arm, share=share)

    def apply_prior(self, prior: Prior) -> None:
        """Count a prior's evidence on its arms as if it were feedback; before anything is learned."""
        self.posterior.apply_prior(prior)

    def add_arm(self, name: str, *, like: str | None = None, weight: float = 50.0) -> None:
        """Put a new arm where the posterior has new ones begin, or let it begin like another.

        Args:
            name: of the arm.
            like: of an arm whose feedback is lent to it.
            weight: of that feedback in all, in answers.
        """
        if like is None:
            self.posterior.add_arm(name)
        elif name not in self.posterior.arms:
            self.posterior.warm_start(like, name, weight=weight)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not scored, and its statistics stay."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""
        return self.posterior.state()

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        self.posterior.restore(state)
