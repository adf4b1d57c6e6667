"""Bayesian linear regression, one per arm, held as sums over rounds so that any round can be changed or undone."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.in_order import Beliefs, Indices, Known, Lessons, absorbed, teach
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

_REFRESH_EVERY = 1000  # rank-one updates of an inverse before it is computed afresh
_LEAST_PIVOT = 1e-6  # a downdate that would shrink the determinant by more than this is computed afresh


class LinearPosterior:
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
        self._rows: dict[str, int] = {}
        self._a: Floats = np.empty((0, d, d))  # (K, d, d) precision
        self._inverse: Floats = np.empty((0, d, d))
        self._b: Floats = np.empty((0, d))
        self._theta: Floats = np.empty((0, d))
        self._sums: Floats = np.empty((0, 2))  # (K, 2): sum w, sum w r^2
        self._outer: Floats = np.empty((d, d))  # room for a rank-one matrix
        self._ages: list[int] = []  # rank-one updates since the inverse was computed afresh

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return tuple(self._rows)

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior; an arm already known keeps its statistics."""
        if name in self._rows:
            return
        self._rows[name] = len(self._rows)
        self._a = np.concatenate([self._a, np.diag(self._prior)[None]])
        self._inverse = np.concatenate([self._inverse, np.diag(1.0 / self._prior)[None]])
        self._b = np.concatenate([self._b, self._prior_b[None]])
        self._theta = np.concatenate([self._theta, (self._prior_b / self._prior)[None]])
        self._sums = np.concatenate([self._sums, np.zeros((1, 2))])
        self._ages.append(0)

    def predict(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of each arm's expected quality at `features` (d,): two arrays (K,)."""
        means, spreads = self.spread(features, arms)
        return means, spreads * math.sqrt(self.noise_variance())

    def spread(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and sqrt(x^T A^-1 x), its deviation in units of the noise's, (K,) each, at x (d,)."""
        rows = self._select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        k = len(theta)
        # `dot`, as for one vector `@` takes longer to start than to multiply.
        squares = inverse.reshape(k * self.d, self.d).dot(features).reshape(k, self.d).dot(features)
        return theta.dot(features), np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def spread_many(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what `spread` does for m contexts at once, features (m, d): two arrays (m, K)."""
        rows = self._select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        squares = np.empty((len(features), len(theta)))
        for k in range(len(theta)):
            np.vecdot(features @ inverse[k], features, out=squares[:, k])
        return features @ theta.T, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def noise_variance(self) -> float:
        """Return the estimated variance of a reward around its mean."""
        squares, weight = self._noise_sums()
        return squares / weight

    def _noise_sums(self) -> tuple[float, float]:
        """Return the sum of squared residuals and its weight, the prior's included."""
        prior, prior_weight = self._noise
        seen, squared = self._sums.sum(axis=0).tolist()
        residual = squared + len(self._rows) * self._prior_squared - float(np.vdot(self._b, self._theta))
        return prior * prior_weight + max(residual, 0.0), prior_weight + max(seen, 0.0)

    def known(self) -> Known:
        """Return noise variance and weight of feedback as they stand."""
        return Known(self.noise_variance(), self.weight_seen())

    def weight_seen(self) -> float:
        """Return the weight of all feedback standing, over all arms."""
        return float(self._sums[:, 0].sum())

    def update(self, changes: Iterable[RewardChange]) -> None:
        """Fold changes into the statistics. Raises ValueError for an unknown arm or features of another length."""
        for change in changes:
            self._update(change)

    def learn_in_order(
        self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats, *, frozen_for: int = 1
    ) -> Beliefs:
        """Learn m rounds, and return what was believed before each of them: what updating one by one comes to.

        Args:
            features: (m, d).
            arms: the K arms that `actions` count.
            actions: (m,) the arm each round teaches about.
            rewards: (m,) of weight 1; NaN: nobody said anything.
            frozen_for: rounds between two updates; no round knows of another since the last.
        """
        m, said = len(features), ~np.isnan(rewards)
        unknown_from = np.arange(m) // frozen_for * frozen_for
        means, squares = np.empty((m, len(arms))), np.empty((m, len(arms)))
        noise, weight, told = self._noise_sums(), self.weight_seen(), np.zeros(m)
        for k, arm in enumerate(arms):
            row, those = self._row(arm), np.flatnonzero(said & (actions == k))
            lessons = Lessons(those, rewards[those], unknown_from)
            found = absorbed(self._inverse[row], self._theta[row], features, lessons)
            means[:, k], squares[:, k], told[those] = found.means, found.squares, found.surprises**2
            if len(those):
                self._inverse[row], self._theta[row] = found.inverse, found.theta
                self._absorb(row, features[those], lessons.rewards)
        told, seen = (np.cumsum(sums) - sums for sums in (told, said))  # before each round
        variance = (noise[0] + told[unknown_from]) / (noise[1] + seen[unknown_from])
        known = Known(variance[:, None], (weight + seen[unknown_from])[:, None])
        return Beliefs(means, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares), known)

    def learn_many(self, features: Floats, arms: Sequence[str], actions: Indices, rewards: Floats) -> None:
        """Learn m rounds, as `learn_in_order` does, without looking at what was believed meanwhile."""
        groups = np.where(np.isnan(rewards), len(arms), actions)  # the last group teaches nothing
        order = groups.argsort(kind="stable")
        features, rewards = features[order], rewards[order]
        ends = np.bincount(groups, minlength=len(arms)).cumsum().tolist()
        for arm, start, end in zip(arms, [0, *ends], ends, strict=False):
            if end > start:
                self._learn_at_once(self._row(arm), features[start:end], rewards[start:end])

    def _learn_at_once(self, row: int, lessons: Floats, rewards: Floats) -> None:
        if len(lessons) >= self.d:  # afresh is cheaper
            self._ages[row] = _REFRESH_EVERY
        else:
            teach(self._inverse[row], self._theta[row], lessons, rewards)
        self._absorb(row, lessons, rewards)

    def _absorb(self, row: int, lessons: Floats, rewards: Floats) -> None:
        """Add lessons (n, d) of weight 1 to an arm's sums."""
        self._a[row] += lessons.T @ lessons
        self._b[row] += rewards.dot(lessons)
        self._sums[row, 0] += len(rewards)
        self._sums[row, 1] += rewards.dot(rewards)
        self._ages[row] += len(rewards)
        if self._ages[row] >= _REFRESH_EVERY:
            self._refresh(row)

    def _update(self, change: RewardChange) -> None:
        row, x, weight = self._row(change.arm), change.features, change.weight
        if x.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {x.shape}")
        self._sums[row, 0] += weight
        self._sums[row, 1] += change.squared
        self._b[row] += change.weighted * x
        if weight:
            self._add_outer(self._a[row], x if weight == 1.0 else weight * x, x)
        self._solve(row, x, change)

    def _solve(self, row: int, x: Floats, change: RewardChange) -> None:
        """Follow the sums with A^-1 and theta, by rank one, or afresh when that would lose digits.

        Sherman & Morrison 1950: with u = A^-1 x and p = 1 + w x^T u, the inverse loses u u^T w / p, and theta gains
        u (weighted - w x^T theta) / p (recursive least squares).
        """
        inverse, theta, weight = self._inverse[row], self._theta[row], change.weight
        u = inverse.dot(x)
        pivot = 1.0 + weight * float(u.dot(x))
        self._ages[row] += 1
        if pivot < _LEAST_PIVOT or self._ages[row] >= _REFRESH_EVERY:
            self._refresh(row)
            return
        theta += u * ((change.weighted - weight * float(theta.dot(x))) / pivot)
        if weight:
            self._add_outer(inverse, u * (-weight / pivot), u)

    def _add_outer(self, matrix: Floats, left: Floats, right: Floats) -> None:
        """Add left right^T to a (d, d) matrix in place, without an allocation."""
        left[:, None].dot(right[None, :], out=self._outer)  # twice as fast as multiplying with broadcasting
        matrix += self._outer

    def _refresh(self, row: int) -> None:
        """Compute the inverse from the precision by Cholesky. Raises numpy's LinAlgError if it is not definite."""
        factor = np.linalg.inv(np.linalg.cholesky(self._a[row]))
        self._inverse[row] = factor.T @ factor
        self._theta[row] = self._inverse[row] @ self._b[row]
        self._ages[row] = 0

    def state(self) -> bytes:
        """Return the sums as a snapshot; what follows from them is computed on restore."""
        header = {"kind": "linear", "arms": list(self._rows), "d": self.d, "fingerprint": self.fingerprint}
        return snapshot.pack(header, {"a": self._a, "b": self._b, "sums": self._sums})

    def restore(self, state: bytes) -> None:
        """Replace the sums by a snapshot's. Raises SnapshotError and changes nothing if they cannot be used."""
        header, arrays = snapshot.unpack(state)
        arms = self._checked_arms(header, arrays)
        try:
            factors = np.linalg.inv(np.linalg.cholesky(arrays["a"]))
        except np.linalg.LinAlgError as error:
            raise SnapshotError("snapshot holds a precision matrix that is not positive definite") from error
        self._rows = {name: row for row, name in enumerate(arms)}
        self._a, self._b, self._sums = arrays["a"].copy(), arrays["b"].copy(), arrays["sums"].copy()
        self._inverse = np.matmul(factors.transpose(0, 2, 1), factors)
        self._theta = np.einsum("kij,kj->ki", self._inverse, self._b)
        self._ages = [0] * len(arms)

    def _checked_arms(self, header: dict[str, Any], arrays: snapshot.Arrays) -> list[str]:
        """Return the snapshot's arms, once it is known to fit this posterior."""
        if header.get("kind") != "linear" or header.get("d") != self.d:
            raise SnapshotError(
                f"snapshot is of {header.get('kind')!r}, d={header.get('d')}; wanted linear, d={self.d}"
            )
        if header.get("fingerprint") != self.fingerprint:
            raise SnapshotError(
                f"snapshot was learned on features of encoder {header.get('fingerprint')!r}, "
                f"this one is {self.fingerprint!r}; features of two encoders do not mix"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        if len(set(arms)) != len(arms):
            raise SnapshotError(f"snapshot names one of its arms twice: {', '.join(arms)}")
        k = len(arms)
        shapes = {name: values.shape for name, values in arrays.items()}
        if shapes != {"a": (k, self.d, self.d), "b": (k, self.d), "sums": (k, 2)}:
            raise SnapshotError(f"snapshot's arrays have shapes {shapes}, which {k} arms of {self.d} features do not")
        return arms

    def _row(self, arm: str) -> int:
        try:
            return self._rows[arm]
        except KeyError:
            raise ValueError(f"unknown arm {arm!r}; known are {', '.join(self._rows) or 'none'}") from None

    def _select(self, arms: Sequence[str]) -> slice | list[int]:
        """Return what selects the arms' rows, without a copy where they are all of them in order."""
        rows = [self._row(arm) for arm in arms]
        return slice(0, len(rows)) if rows == list(range(len(rows))) else rows
