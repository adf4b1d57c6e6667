"""The best arm as far as is known, and now and then any."""

from typing import Any

from highwayman.bandit.draw import greedy_probs
from highwayman.bandit.regression.linear_policy import LinearPolicy
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.types import Floats


class EpsilonGreedy(LinearPolicy):
    """Chooses the arm of largest expected quality minus penalty, but a share `epsilon` of the time any arm alike.

    Langford & Zhang, "The Epoch-Greedy Algorithm for Contextual Multi-armed Bandits", NIPS 2007, without epochs: the
    share explored stays the same for ever, and so does what it costs. It comes on top of the floor that every policy
    has.
    """

    def __init__(self, *, d: int, fingerprint: str = "", epsilon: float = 0.05, **prior: Any) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            epsilon: share of rounds spread evenly over the eligible arms.
            prior: options of `LinearPosterior`.
        """
        if not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon must be in [0, 1], got {epsilon!r}")
        super().__init__(d=d, fingerprint=fingerprint, **prior)
        self._epsilon = epsilon

    def choose(self, utilities: Floats, spreads: Floats, summary: PosteriorSummary) -> Floats:
        """Return the greedy choice mixed with the uniform one."""
        mixed: Floats = (1 - self._epsilon) * greedy_probs(utilities) + self._epsilon / utilities.shape[-1]
        return mixed
