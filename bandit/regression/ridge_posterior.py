"""Bayesian linear regression, one per arm, held as sums over rounds so that any round can be changed or undone."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from highwayman.bandit.drift.forgetting import Forgetting
from highwayman.bandit.regression.arm_posterior import ArmPosterior
from highwayman.env.types import Floats


class RidgePosterior(ArmPosterior):
    """Disjoint ridge regressions whose prior is fixed, the same for each arm: `prior_mean` on the intercept.

    It does not depend on feedback, so an arm is computed without the others. Under a half-life deviations are those
    of weighted observations (D-LinUCB).
    """

    _KIND = "linear sums"
    _REFRESH_EVERY: ClassVar[int] = 1000

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        prior_precision: float = 2.0,
        intercept_precision: float = 1.0,
        prior_mean: float = 0.6,
        noise_variance: float = 0.1,
        noise_weight: float = 20.0,
        forgetting: Forgetting | None = None,
    ) -> None:
        """Start every arm at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            prior_precision: of every weight but the intercept, in units of the noise (ridge strength).
            intercept_precision: of the intercept: how many observations the prior mean is worth.
            prior_mean: expected quality of an arm nothing is known of.
            noise_variance: expected variance of rewards around their mean.
            noise_weight: how many observations `noise_variance` is worth.
            forgetting: the half-life of feedback; None: it counts for ever. The prior never fades.
        """
        for name, value in (
            ("prior_precision", prior_precision),
            ("intercept_precision", intercept_precision),
            ("noise_variance", noise_variance),
            ("noise_weight", noise_weight),
        ):
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be > 0, got {value!r}")
        if not np.isfinite(prior_mean):
            raise ValueError(f"prior_mean must be a finite number, got {prior_mean!r}")
        noise = (float(noise_variance), float(noise_weight))
        super().__init__(d=d, fingerprint=fingerprint, noise=noise, forgetting=forgetting, fades=forgetting is not None)
        self._precision = np.full(d, float(prior_precision))
        self._precision[-1] = intercept_precision
        self._prior_b = np.zeros(d)
        self._prior_b[-1] = intercept_precision * prior_mean
        self._squares_per_arm = intercept_precision * prior_mean**2

    def predict(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each arm's expected quality at `features` (d,): two arrays (K,)."""
        means, spreads = self.mean_and_std(features, arms)
        return means, spreads * math.sqrt(self.noise_variance())

    def _prior_precision(self) -> Floats:
        return self._precision

    def _draw_prior(self, precision: Floats) -> Floats:
        return self._prior_b

    def _prior_squares(self) -> float:
        return len(self._statistics) * self._squares_per_arm

    def _on_new_arm(self) -> None:
        self._inverse = np.concatenate([self._inverse, np.diag(1.0 / self._precision)[None]])
        self._b = np.concatenate([self._b, self._prior_b[None]])
        self._theta = np.concatenate([self._theta, (self._prior_b / self._precision)[None]])
        self._ages.append(0)

    def _on_changed_sums(self) -> None:
        self._solve()

    def _refresh(self, row: int) -> None:
        """Compute an arm's inverse and mean from its sums. Raises numpy's LinAlgError: they are those of no rounds."""
        factor = np.linalg.inv(np.linalg.cholesky(self._statistics.a[row] + np.diag(self._precision)))
        self._inverse[row] = factor.T @ factor
        self._theta[row] = self._inverse[row] @ self._b[row]
        self._ages[row] = 0

    def _means_and_squares(self, features: Floats, rows: slice | list[int]) -> tuple[Floats, Floats]:
        if self._forgetting is None:
            return super()._means_and_squares(features, rows)
        return self._theta[rows].dot(features), self._faded_squares(self._inverse[rows] @ features, rows)

    def _squares_many(self, features: Floats, rows: slice | list[int]) -> Floats:
        if self._forgetting is None:
            return super()._squares_many(features, rows)
        inverse = self._inverse[rows]
        squares = np.array([self._faded_squares(inverse.dot(x), rows) for x in features])
        return squares.reshape(len(features), len(inverse))

    def _faded_squares(self, reach: Floats, rows: slice | list[int]) -> Floats:
        """Return x^T V^-1 W V^-1 x for reach V^-1 x (K, d), where W sums with squared weights what V sums with weights.

        Russac, Vernade & Cappe, "Weighted Linear Bandits for Non-Stationary Environments", NeurIPS 2019 (arXiv
        1909.09146), equation 5: what counts half informs half, but is as noisy as ever.
        """
        assert self._statistics.squared_weight_sums is not None  # noqa: S101  (for mypy)
        weighted = np.matmul(self._statistics.squared_weight_sums[rows], reach[:, :, None])[:, :, 0]
        squares: Floats = np.vecdot(weighted + self._precision * reach, reach)
        return squares
