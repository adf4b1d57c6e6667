"""Bayesian linear regression, one per arm, held as sums over rounds so that any round can be changed or undone."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.drift.arm_discounts import ArmDiscounts
from highwayman.bandit.drift.forgetting import NEW_CLOCK, Forgetting
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.prior import Prior
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

_KIND = "linear sums"
REFRESH_EVERY = 1000  # rank-one updates of an inverse before it is computed afresh
_LEAST_PIVOT = 1e-6  # a downdate that would shrink the determinant by more than this is computed afresh


class RidgePosterior:
    """Disjoint ridge regressions theta_k ~ N(A_k^-1 b_k, sigma^2 A_k^-1) with a common noise variance.

    A_k = L + sum w x x^T and b_k = L m + sum w r x, with L the diagonal prior precision (in units of the noise) and m
    the prior mean, which puts `prior_mean` on the intercept (the last feature). sigma^2 is the mean of its
    inverse-gamma posterior, residuals pooled over arms (Bishop, PRML 2006, section 3.3; O'Hagan 1994, chapter 9).
    Routing breaks the Gaussian noise: thumbs are 0 or 1, and their variance depends on the query.
    """

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
            fading: the half-life of what is said; None: it counts for ever. The prior never fades.
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
        if d < 1:
            raise ValueError(f"d must be >= 1, got {d!r}")
        self.d = d
        self.fingerprint = fingerprint
        self._prior = np.full(d, float(prior_precision))
        self._prior[-1] = intercept_precision
        self._prior_b = np.zeros(d)
        self._prior_b[-1] = intercept_precision * prior_mean
        self._prior_squared = intercept_precision * prior_mean**2
        self._noise = (float(noise_variance), float(noise_weight))
        self._fading, self._doubts = forgetting, ArmDiscounts()
        self._statistics = ArmStatistics(d, fades=self.has_half_life)
        self._inverse: Floats = np.empty((0, d, d))  # (K, d, d) of the precision
        self._b: Floats = np.empty((0, d))  # with the prior's share
        self._theta: Floats = np.empty((0, d))
        self._outer: Floats = np.empty((d, d))  # room for a rank-one matrix
        self._ages: list[int] = []  # rank-one updates since the inverse was computed afresh

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return self._statistics.arms

    @property
    def has_half_life(self) -> bool:
        """Whether there is a half-life."""
        return self._fading is not None

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior; an arm already known keeps its statistics."""
        if not self._statistics.add_arm(name):
            return
        self._inverse = np.concatenate([self._inverse, np.diag(1.0 / self._prior)[None]])
        self._b = np.concatenate([self._b, self._prior_b[None]])
        self._theta = np.concatenate([self._theta, (self._prior_b / self._prior)[None]])
        self._ages.append(0)

    def merge(self, other: "RidgePosterior") -> None:
        """Add what another shard of the same traffic learned: as if one had learned both streams.

        Raises:
            ValueError: features of another encoder or length, or what was said fades, and so has no common clock.
        """
        if other.fingerprint != self.fingerprint:
            raise ValueError(f"features of encoder {other.fingerprint!r} do not mix with those of {self.fingerprint!r}")
        if self.has_half_life or other.has_half_life or self._doubts or other._doubts:
            raise ValueError("posteriors with a half-life or doubted arms cannot be merged: their weights differ")
        for name in other.arms:
            self.add_arm(name)
        self._statistics.merge(other._statistics)
        self._refresh_all()

    def apply_prior(self, prior: Prior) -> None:
        """Count what a prior says of its arms as if it had been told here."""
        for name in prior.sums.arms:
            self.add_arm(name)
        self._statistics.merge(prior.sums)
        self._refresh_all()

    def warm_start(self, like: str, arm: str, *, weight: float) -> None:
        """Give a new arm what was said of another, as if it were feedback of total weight `weight` on the new one."""
        self.add_arm(arm)
        self._statistics.warm_start(like, arm, weight=weight)
        self._refresh_all()

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm, as far as it has not faded."""
        return float(self._statistics.sums[self._statistics.row(arm), 0])

    def discount(self, arm: str, *, share: float) -> None:
        """Let what was said of an arm count for a share: of all rounds decided up to the latest one heard of.

        A later change of such a round counts for the share, too. Raises ValueError for a share that is not in (0, 1].
        """
        row = self._statistics.row(arm)
        self._doubts.add(arm, share)
        self._statistics.scale(share, row)
        self._refresh_all()

    def predict(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each arm's expected quality at `features` (d,): two arrays (K,)."""
        means, spreads = self.mean_and_std(features, arms)
        return means, spreads * math.sqrt(self.noise_variance())

    def mean_and_std(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and sqrt(x^T A^-1 x), its deviation in units of the noise's, (K,) each, at x (d,)."""
        rows = self._statistics.select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        k = len(theta)
        # `dot`, as for one vector `@` takes longer to start than to multiply.
        reach = inverse.reshape(k * self.d, self.d).dot(features).reshape(k, self.d)
        squares = reach.dot(features) if self._fading is None else self._faded_squares(reach, rows)
        return theta.dot(features), np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def mean_and_std_many(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what `mean_and_std` does for m contexts at once, features (m, d): two arrays (m, K)."""
        rows = self._statistics.select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        squares = np.empty((len(features), len(theta)))
        for k in range(len(theta)):
            np.vecdot(features @ inverse[k], features, out=squares[:, k])
        if self.has_half_life:
            squares = np.array([self._faded_squares(inverse.dot(x), rows) for x in features]).reshape(squares.shape)
        return features @ theta.T, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def _faded_squares(self, reach: Floats, rows: slice | list[int]) -> Floats:
        """Return x^T V^-1 W V^-1 x for reach V^-1 x (K, d), where W sums with squared weights what V sums with weights.

        Russac, Vernade & Cappe, "Weighted Linear Bandits for Non-Stationary Environments", NeurIPS 2019 (arXiv
        1909.09146), equation 5: what counts half informs half, but is as noisy as ever.
        """
        assert self._statistics.squared_weight_sums is not None  # noqa: S101  (for mypy)
        said = np.matmul(self._statistics.squared_weight_sums[rows], reach[:, :, None])[:, :, 0]
        found: Floats = np.vecdot(said + self._prior * reach, reach)
        return found

    def noise_variance(self) -> float:
        """Return the estimated variance of a reward around its mean."""
        squares, weight = self._noise_sums()
        return squares / weight

    def _noise_sums(self) -> tuple[float, float]:
        """Return the sum of squared residuals and its weight, the prior's included."""
        prior, prior_weight = self._noise
        seen, squared = self._statistics.sums.sum(axis=0).tolist()
        residual = squared + len(self._statistics) * self._prior_squared - float(np.vdot(self._b, self._theta))
        return prior * prior_weight + max(residual, 0.0), prior_weight + max(seen, 0.0)

    def summary(self) -> PosteriorSummary:
        """Return noise variance and weight of feedback as they stand."""
        return PosteriorSummary(self.noise_variance(), self.total_weight())

    def total_weight(self) -> float:
        """Return the weight of all feedback standing, over all arms, as far as it has not faded."""
        return self._statistics.weight()

    def update(self, changes: Iterable[RewardChange]) -> None:
        """Fold changes into the statistics. Raises ValueError for an unknown arm or features of another length."""
        for change in changes:
            self._update(change)

    def _update(self, change: RewardChange) -> None:
        row, factor = self._statistics.checked_row(change), 1.0
        if self._fading is not None:
            factor = self._fading.weight(change.at, new=change.weight > 0)
        factor *= self._doubts.factor(change)
        self._statistics.add(row, change, factor)
        x, weight, weighted = change.features, factor * change.weight, factor * change.weighted
        self._b[row] += weighted * x
        self._solve(row, x, weight=weight, weighted=weighted)
        if self._fading is not None and self._fading.due():
            self.recompute()

    def recompute(self) -> None:
        """Let fade what has to, but never the prior, and compute from the sums alone all that follows from them."""
        if self._fading is not None:
            self._statistics.scale(self._fading.rebase())
        self._refresh_all()

    def _solve(self, row: int, x: Floats, *, weight: float, weighted: float) -> None:
        """Follow the sums with A^-1 and theta, by rank one, or afresh when that would lose digits.

        Sherman & Morrison 1950: with u = A^-1 x and p = 1 + w x^T u, the inverse loses u u^T w / p, and theta gains
        u (weighted - w x^T theta) / p (recursive least squares).
        """
        inverse, theta = self._inverse[row], self._theta[row]
        u = inverse.dot(x)
        pivot = 1.0 + weight * float(u.dot(x))
        self._ages[row] += 1
        if pivot < _LEAST_PIVOT or self._ages[row] >= REFRESH_EVERY:
            self._refresh(row)
            return
        theta += u * ((weighted - weight * float(theta.dot(x))) / pivot)
        if weight:
            (u * (-weight / pivot))[:, None].dot(u[None, :], out=self._outer)  # twice as fast as broadcasting
            inverse += self._outer

    def _refresh(self, row: int) -> None:
        """Compute the inverse from the precision by Cholesky. Raises numpy's LinAlgError if it is not definite."""
        factor = np.linalg.inv(np.linalg.cholesky(self._statistics.a[row] + np.diag(self._prior)))
        self._inverse[row] = factor.T @ factor
        self._theta[row] = self._inverse[row] @ self._b[row]
        self._ages[row] = 0

    def _refresh_all(self) -> None:
        """Compute from the sums all that follows from them."""
        factors = np.linalg.inv(np.linalg.cholesky(self._statistics.a + np.diag(self._prior)))
        self._inverse = np.matmul(factors.transpose(0, 2, 1), factors)
        self._b = self._statistics.b + self._prior_b
        self._theta = np.einsum("kij,kj->ki", self._inverse, self._b)
        self._ages = [0] * len(self._statistics)

    def state(self) -> bytes:
        """Return the sums as a snapshot; what follows from them is computed on restore."""
        header: dict[str, Any] = {"kind": _KIND, "arms": list(self.arms), "d": self.d, "fingerprint": self.fingerprint}
        if self._fading is not None:
            header["fading"] = self._fading.state()
        header["doubts"] = self._doubts.state()
        return snapshot.pack(header, self._statistics.arrays())

    def restore(self, state: bytes) -> None:
        """Replace the sums by a snapshot's. Raises SnapshotError and changes nothing if they cannot be used."""
        header, arrays = snapshot.unpack(state)
        told = ArmStatistics.from_snapshot(
            header, arrays, kind=_KIND, d=self.d, fingerprint=self.fingerprint, fades=self.has_half_life
        )
        discounts = ArmDiscounts()
        try:
            discounts.restore(header.get("doubts", discounts.state()))
            np.linalg.cholesky(told.a + np.diag(self._prior))
            if self._fading is not None:
                self._fading.restore(header.get("fading") or NEW_CLOCK)
        except np.linalg.LinAlgError as error:
            raise SnapshotError("snapshot holds a precision matrix that is not positive definite") from error
        except ValueError as error:
            raise SnapshotError(f"snapshot cannot be used: {error}") from error
        self._statistics, self._doubts = told, discounts
        self._refresh_all()
