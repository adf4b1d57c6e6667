"""Thompson sampling that learns from which of two answers people prefer, and from rewards alike."""

import math
from collections.abc import Sequence

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.arm_sums import ArmSums
from highwayman.bandit.best_arm import best_arm_probs
from highwayman.bandit.preference_posterior import PreferencePosterior
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Context, Floats, PreferenceChange, RewardChange

_KIND = "dueling"


class DuelingLinTS:
    """Chooses an arm with the probability that it is the best one, given rewards and comparisons.

    Bengs, Saha & Hüllermeier, "Stochastic Contextual Dueling Bandits under Linear Stochastic Transitivity Models", ICML
    2022 (arXiv 2202.04593): the logistic model of linear utilities, here with Thompson sampling, and with one answer
    served. Routing breaks their assumption that every round is a duel: most answers stand alone.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        exploration: float = 0.75,
        scale: float = 6.0,
        comparisons: int = 2000,
        prior_precision: float = 2.0,
        prior_mean: float = 0.6,
        noise_variance: float = 0.1,
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            exploration: factor on the posterior's standard deviations.
            scale: log-odds of being preferred per unit of quality: at 6, better by .1 is preferred 65 times in 100.
            comparisons: that are held, the newest ones; older ones are forgotten.
            prior_precision: of every weight but the intercept, in units of the noise.
            prior_mean: expected quality of an arm nothing is known of.
            noise_variance: of rewards around their mean.
        """
        if not (math.isfinite(exploration) and exploration > 0):
            raise ValueError(f"exploration must be a number > 0, got {exploration!r}")
        self._fingerprint, self._exploration = fingerprint, exploration
        self.posterior = PreferencePosterior(
            d=d,
            scale=scale,
            most=comparisons,
            prior_precision=prior_precision,
            prior_mean=prior_mean,
            noise_variance=noise_variance,
        )

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return P(arm has the largest quality minus penalty), shape (K,), in the order of `arms`."""
        means, sds = self.posterior.beliefs(context.features, arms)
        return best_arm_probs(means - penalties, sds * self._exploration)

    def expected(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""
        return self.posterior.beliefs(context.features, arms)[0]

    def learn(self, changes: Sequence[RewardChange | PreferenceChange]) -> None:
        """Fold changes of reward and of preference in, in log order."""
        self.posterior.update(changes)

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior."""
        self.posterior.add_arm(name)

    def drop_arm(self, name: str) -> None:
        """Do nothing: an arm that is not eligible is not asked about, and its statistics stay."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot, and settle: whoever restores it goes on as this one does."""
        one = self.posterior
        one.settle()
        header = {"kind": _KIND, "arms": list(one.told.arms), "d": one.d, "fingerprint": self._fingerprint}
        return snapshot.pack(header, {**one.told.arrays(), "comparisons": one.comparisons})

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if unusable."""
        header, arrays = snapshot.unpack(state)
        one = self.posterior
        told = ArmSums.of(header, arrays, kind=_KIND, d=one.d, fingerprint=self._fingerprint)
        comparisons = arrays.get("comparisons", np.zeros((0, one.d + 3)))
        places = comparisons[:, :2] if comparisons.ndim == 2 else comparisons
        if (
            comparisons.ndim != 2
            or comparisons.shape[1] != one.d + 3
            or (places < 0).any()
            or (places >= len(told)).any()
        ):
            raise SnapshotError(f"snapshot holds comparisons {comparisons.shape} that are not of its {len(told)} arms")
        one.told, one.comparisons = told, comparisons.copy()
        one.settle()
