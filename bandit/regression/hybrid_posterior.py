"""Regressions whose shared part depends on what an arm is like, with how unsure both parts are."""

from collections.abc import Mapping, Sequence

import numpy as np

from highwayman.bandit.regression.hier_posterior import HierPosterior, HierPrior
from highwayman.env.types import Floats


class HybridPosterior(HierPosterior):
    """Expected quality z^T beta + x^T own_k, where z = f_k (x) x pairs an arm's features with the query's.

    f_k starts with 1, so without features of its own an arm shares beta with all others, and arms with like features
    share more. It is the same model as `HierPosterior` with a richer beta, and as there all of it follows from each
    arm's sums, because those of z are Kronecker products of f_k and the sums of x.
    """

    def __init__(
        self, *, d: int, fingerprint: str = "", prior: HierPrior, arm_features: Mapping[str, Sequence[float]]
    ) -> None:
        """Start at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            prior: what is believed at first.
            arm_features: (q,) numbers for each arm that has any; others count as zeros.

        Raises:
            ValueError: arms have different numbers of features, or one that is not finite.
        """
        widths = {len(values) for values in arm_features.values()}
        if len(widths) > 1:
            raise ValueError(f"arm_features must be equally many for each arm, got {sorted(widths)}")
        self._arm_features = {arm: np.array([1.0, *values]) for arm, values in arm_features.items()}
        for arm, values in self._arm_features.items():
            if not np.isfinite(values).all():
                raise ValueError(f"arm_features of {arm!r} must be finite, got {values[1:].tolist()}")
        self._others = np.array([1.0, *[0.0] * max(widths, default=0)])
        super().__init__(d=d, fingerprint=fingerprint, prior=prior)

    def mean_and_std(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and deviation in units of the noise's, both parts together, (K,) each, at x (d,)."""
        means, spreads = self.mean_and_std_many(features[None], arms)
        return means[0], spreads[0]

    def mean_and_std_many(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what `mean_and_std` does for m contexts at once, features (m, d): two arrays (m, K).

        Li, Chu, Langford & Schapire, WWW 2010 (arXiv 1003.0146), algorithm 2, line 14: with u = P_k x and
        v = f_k (x) L u the variance is x^T u + v^T A_0^-1 v.
        """
        self._catch_up()
        rows = self._statistics.select(arms)
        inverse, own = self._inverse[rows], self._own_precision_at_settling
        reach = np.matmul(features, inverse)  # (K, m, d)
        lead = own * reach
        paired = (self._of(arms)[:, None, :, None] * lead[:, :, None, :]).reshape(*lead.shape[:2], -1)  # (K, m, q d)
        squares = np.vecdot(reach, features) + np.vecdot(paired @ self._root_inverse, paired)
        return features @ self._theta[rows].T, np.sqrt(np.maximum(squares, 0.0)).T

    def _of(self, arms: Sequence[str]) -> Floats:
        """Return the arms' features, 1 first, (K, q)."""
        return np.array([self._arm_features.get(arm, self._others) for arm in arms]).reshape(
            len(arms), len(self._others)
        )

    def _prior_means(self, own: Floats) -> Floats:
        """Draw beta from all feedback, and return the arms' prior means (K, d)."""
        arm_features, d = self._of(self.arms), self.d  # (K, q)
        q = len(self._others)
        lent = own * np.einsum("kij,kj->ki", self._inverse, self._statistics.b)  # (K, d)
        left = np.diag(own) - own[:, None] * self._inverse * own  # (K, d, d) L - L P_k L
        root = np.einsum("ka,kb,kij->aibj", arm_features, arm_features, left).reshape(q * d, q * d)
        self._hyperprior_precision = np.tile(self._hyperprior_precision[-d:], q)
        self._hyperprior_mean = np.concatenate([self._hyperprior_mean[:d], np.zeros((q - 1) * d)])
        root += np.diag(self._hyperprior_precision)
        evidence = (
            self._hyperprior_precision * self._hyperprior_mean + np.einsum("ka,ki->ai", arm_features, lent).ravel()
        )
        self._root_inverse = np.linalg.inv(root)
        self._shared = self._root_inverse @ evidence
        self._own_precision_at_settling = own
        means: Floats = arm_features @ self._shared.reshape(q, d)
        return means
