"""One regression per arm, learned from rewards and from comparisons of two arms alike."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from highwayman.bandit.arm_sums import ArmSums
from highwayman.env.types import Floats, PreferenceChange, RewardChange

_NEWTON_STEPS = 25
_CLOSE = 1e-10  # a step smaller than this ends the search
_GROWTH = 1.05  # of what was said, after which the estimate is made anew


class PreferencePosterior:
    """theta_k ~ N(m, sigma^2 L^-1), r ~ N(theta_k^T x, sigma^2), P(i beats j) = logistic(s (theta_i - theta_j)^T x).

    Bradley & Terry, Biometrika 1952, on linear qualities; the joint posterior over all arms is approximated by a
    Gaussian at its mode (Laplace; MacKay, "The evidence framework applied to classification networks", 1992). Rewards
    count as
    sums and comparisons are held one by one, the newest `most` of them, so either can be taken back. The mode
    is searched anew when 5% more has been said, and whenever it is asked to settle. Routing breaks the assumption that
    preferences are transitive and equally noisy for every query.
    """

    def __init__(
        self,
        *,
        d: int,
        scale: float,
        most: int,
        prior_precision: float,
        prior_mean: float,
        noise_variance: float,
    ) -> None:
        """Start every arm at the prior; the options are those of `DuelingLinTS`."""
        for name, value in (("scale", scale), ("comparisons", most), ("prior_precision", prior_precision),
                            ("noise_variance", noise_variance)):  # fmt: skip
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number > 0, got {value!r}")
        self.d = d
        self._scale, self._most, self._noise = float(scale), int(most), float(noise_variance)
        self._prior = np.full(d, float(prior_precision))
        self._prior[-1] = 1.0
        self._mean = np.zeros(d)
        self._mean[-1] = prior_mean
        self.told = ArmSums(d)
        self.comparisons: Floats = np.zeros((0, d + 3))  # better's place, worse's, weight, context
        self._said, self._next = 0, 0.0  # changes learned, and at how many the mode is searched anew
        self._theta: Floats = np.zeros((0, d))
        self._covariance: Floats = np.zeros((0, 0))
        self.settle()

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior; an arm already known keeps its statistics."""
        if self.told.add_arm(name):
            self.settle()

    def update(self, changes: Iterable[RewardChange | PreferenceChange]) -> None:
        """Fold changes in. Raises ValueError for an unknown arm, another length, or an arm compared with itself."""
        for change in changes:
            if isinstance(change, PreferenceChange):
                self._compare(change)
            else:
                self.told.add(self.told.row(change.arm), change)
            self._said += 1
        if self._said >= self._next:
            self.settle()

    def _compare(self, change: PreferenceChange) -> None:
        better, worse = self.told.row(change.better), self.told.row(change.worse)
        if better == worse:
            raise ValueError(f"{change.better!r} cannot be better than itself")
        if change.features.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {change.features.shape}")
        if change.weight > 0:
            row = np.array([better, worse, change.weight, *change.features])
            self.comparisons = np.concatenate([self.comparisons, row[None]])[-self._most :]
            return
        same = (self.comparisons[:, :2] == (better, worse)).all(axis=1)
        found = np.flatnonzero(same & (self.comparisons[:, 3:] == change.features).all(axis=1))
        if len(found):
            left = self.comparisons[found[-1], 2] + change.weight
            if left > 0:
                self.comparisons[found[-1], 2] = left
            else:
                self.comparisons = np.delete(self.comparisons, found[-1], axis=0)

    def beliefs(self, x: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean at x (d,), and its deviation apart from what moves all of them alike, (K,) each.

        Comparisons say nothing of the level that all arms have in common, and no choice depends on it.
        """
        rows = [self.told.row(arm) for arm in arms]
        k = len(self.told)
        blocks = self._covariance.reshape(k, self.d, k, self.d)[rows][:, :, rows]
        joint = np.einsum("i,kilj,j->kl", x, blocks, x)
        apart = joint - joint.mean(axis=0) - joint.mean(axis=1)[:, None] + joint.mean()
        return self._theta[rows] @ x, np.sqrt(np.maximum(np.diag(apart), 0.0))

    def settle(self) -> None:
        """Find the mode of the joint posterior by Newton's method, halving steps that lead up, and its curvature."""
        self._next = max(self._said * _GROWTH, self._said + 1.0)
        k, d = len(self.told), self.d
        gaussian = np.zeros((k, d, k, d))
        gaussian[np.arange(k), :, np.arange(k), :] = (self.told.a + np.diag(self._prior)) / self._noise
        precision = gaussian.reshape(k * d, k * d)
        pull = ((self.told.b + self._prior * self._mean) / self._noise).ravel()
        rows = self._differences()
        theta: Any = np.linalg.solve(precision, pull) if k else np.zeros(0)
        for _ in range(_NEWTON_STEPS if len(rows) else 0):
            prob, weights = self._preferred(rows, theta), self.comparisons[:, 2]
            gradient = precision @ theta - pull - rows.T @ (weights * (1.0 - prob))
            curvature = precision + rows.T @ ((weights * prob * (1.0 - prob))[:, None] * rows)
            step = np.linalg.solve(curvature, gradient)
            size, now = 1.0, self._loss(precision, pull, rows, theta)
            while self._loss(precision, pull, rows, theta - size * step) > now + 1e-12 and size > 1e-6:
                size /= 2
            theta = theta - size * step
            if np.abs(size * step).max() < _CLOSE:
                break
        prob = self._preferred(rows, theta)
        information: Any = precision + rows.T @ ((self.comparisons[:, 2] * prob * (1.0 - prob))[:, None] * rows)
        self._theta, self._covariance = theta.reshape(k, d), np.linalg.inv(information)

    def _differences(self) -> Floats:
        """Return what each comparison says of all coefficients, s (e_better - e_worse) (x) x, (n, K d)."""
        n, k, d = len(self.comparisons), len(self.told), self.d
        rows = np.zeros((n, k, d))
        better, worse = self.comparisons[:, :2].astype(np.intp).T
        rows[np.arange(n), better] += self._scale * self.comparisons[:, 3:]
        rows[np.arange(n), worse] -= self._scale * self.comparisons[:, 3:]
        return rows.reshape(n, k * d)

    def _preferred(self, rows: Floats, theta: Floats) -> Floats:
        """Return the probability of what was preferred, (n,)."""
        found: Floats = 1.0 / (1.0 + np.exp(-np.clip(rows @ theta, -500.0, 500.0)))
        return found

    def _loss(self, precision: Floats, pull: Floats, rows: Floats, theta: Floats) -> float:
        """Return minus the log of the joint posterior, but for a constant."""
        unlikely = np.logaddexp(0.0, -(rows @ theta))
        return float(0.5 * theta @ precision @ theta - pull @ theta + self.comparisons[:, 2] @ unlikely)
