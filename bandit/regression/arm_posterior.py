"""What regressions with one set of sums per arm have in common, however their prior is drawn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.drift.arm_discounts import ArmDiscounts
from highwayman.bandit.drift.forgetting import NEW_CLOCK, Forgetting
from highwayman.bandit.policy import HalfLife
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.prior import Prior
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

_FEW = 3  # times as many arms there must be for a part of them to be asked by itself
_LEAST_PIVOT = 1e-6  # a downdate that would shrink the determinant by more than this is computed afresh


class ArmPosterior(ABC):
    """Regressions theta_k ~ N(A_k^-1 b_k, sigma^2 A_k^-1) with A_k = L + sum w x x^T and b_k = L m_k + sum w r x.

    L is the diagonal precision of the prior, in units of the noise, and m_k its mean; a subclass says what they are,
    and when they are drawn anew. sigma^2 is the mean of its inverse-gamma posterior, residuals pooled over arms
    (Bishop, PRML 2006, section 3.3; O'Hagan 1994, chapter 9). Routing breaks the Gaussian noise: thumbs are 0 or 1, and
    their variance depends on the query.

    What is learned are sums over rounds, so any round can be changed or undone, and shards can be merged. What follows
    from them is kept up by rank one, and now and then computed from the sums alone. The prior never fades; feedback
    does, at a half-life if there is one, and counts for a share once an arm is discounted.
    """

    _KIND: ClassVar[str]  # of its snapshots
    _REFRESH_EVERY: ClassVar[float] = math.inf  # rank-one updates of an inverse before it is computed afresh

    def __init__(
        self, *, d: int, fingerprint: str, noise: tuple[float, float], forgetting: Forgetting | None, fades: bool
    ) -> None:
        """Start without arms.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            noise: expected variance of rewards around their mean, and how many observations that is worth.
            forgetting: the half-life of feedback; None: it counts for ever.
            fades: whether sums with squared weights are kept, too.
        """
        if d < 1:
            raise ValueError(f"d must be >= 1, got {d!r}")
        self.d = d
        self.fingerprint = fingerprint
        self._noise = noise
        self._forgetting, self._discounts = forgetting, ArmDiscounts()
        self.half_life: HalfLife | None = None if forgetting is None else forgetting.half_life
        self._statistics = ArmStatistics(d, fades=fades)
        self._inverse: Floats = np.empty((0, d, d))  # (K, d, d) of the precision
        self._b: Floats = np.empty((0, d))  # (K, d) with the prior's share
        self._theta: Floats = np.empty((0, d))  # (K, d)
        self._ages: list[int] = []  # (K,) rank-one updates since the inverse was computed afresh
        self._outer: Floats = np.empty((d, d))  # room for a rank-one matrix
        self._is_behind = False  # whether what follows from the sums is still to be computed, once somebody asks

    @abstractmethod
    def _prior_precision(self) -> Floats:
        """Return the diagonal of L, (d,), as the feedback so far has it."""

    @abstractmethod
    def _draw_prior(self, precision: Floats) -> Floats:
        """Draw the prior's means, given L (d,) and the inverses; return its evidence L m_k, (K, d) or (d,) for all."""

    @abstractmethod
    def _prior_squares(self) -> float:
        """Return what the prior as drawn last adds to the sum of squared rewards: m_k^T L m_k over all arms."""

    def _catch_up(self) -> None:
        """Compute what follows from the sums, as far as it is behind."""
        self._is_behind = False

    def _must_recompute(self) -> bool:
        """Return whether it is time that feedback fades, or that the prior is drawn anew."""
        return self._forgetting is not None and self._forgetting.due()

    def _on_new_arm(self) -> None:
        """Put the arm that was just added at the prior."""
        self.recompute()

    def _on_changed_sums(self) -> None:
        """Compute what follows from sums that were changed at once, not by a round."""
        self.recompute()

    def _refresh(self, row: int) -> None:
        """Compute an arm's inverse and mean from its sums. Raises numpy's LinAlgError: they are those of no rounds."""
        self.recompute()

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return self._statistics.arms

    @property
    def has_half_life(self) -> bool:
        """Whether there is a half-life."""
        return self._forgetting is not None

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior; an arm already known keeps its statistics."""
        if self._statistics.add_arm(name):
            self._on_new_arm()

    def merge(self, other: Self) -> None:
        """Add what another shard of the same traffic learned: as if one had learned both streams.

        Raises:
            ValueError: features of another encoder or length, or feedback fades, and so has no common clock.
        """
        if other.fingerprint != self.fingerprint:
            raise ValueError(f"features of encoder {other.fingerprint!r} do not mix with those of {self.fingerprint!r}")
        if self.has_half_life or other.has_half_life or self._discounts or other._discounts:
            raise ValueError("posteriors with a half-life or doubted arms cannot be merged: their weights differ")
        for name in other.arms:
            self.add_arm(name)
        self._statistics.merge(other._statistics)
        self._on_changed_sums()

    def apply_prior(self, prior: Prior) -> None:
        """Count a prior's evidence on its arms as if it were feedback."""
        for name in prior.sums.arms:
            self.add_arm(name)
        self._statistics.merge(prior.sums)
        self._on_changed_sums()

    def warm_start(self, like: str, arm: str, *, weight: float) -> None:
        """Give a new arm the feedback on another, scaled to a total weight of `weight`."""
        self.add_arm(arm)
        self._statistics.warm_start(like, arm, weight=weight)
        self._on_changed_sums()

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm, as far as it has not faded."""
        return float(self._statistics.sums[self._statistics.row(arm), 0])

    def weights_of(self, arms: Sequence[str]) -> Floats:
        """Return what `weight_of` does for several arms, shape (K,)."""
        weights: Floats = self._statistics.sums[self._statistics.select(arms), 0]
        return weights

    def discount(self, arm: str, *, share: float) -> None:
        """Let the feedback on an arm count for a share: on all rounds decided up to the latest one seen.

        A later change of such a round counts for the share, too. Raises ValueError for a share that is not in (0, 1].
        """
        row = self._statistics.row(arm)
        self._discounts.add(arm, share)
        self._statistics.scale(share, row)
        self._on_changed_sums()

    def mean_and_std(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and sqrt(x^T A^-1 x), its deviation in units of the noise's, (K,) each, at x (d,)."""
        if self._is_behind:
            self._catch_up()
        rows = self._statistics.select(arms)
        if isinstance(rows, list) and _FEW * len(rows) > len(self._theta):
            # To copy the matrices of most arms takes longer than to ask about all.
            means, squares = (values[rows] for values in self._means_and_squares(features, slice(None)))
        else:
            means, squares = self._means_and_squares(features, rows)
        return means, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def means(self, features: Floats, arms: Sequence[str]) -> Floats:
        """Return each arm's mean alone, (K,), at x (d,)."""
        return self.mean_and_std(features, arms)[0]

    def _means_and_squares(self, features: Floats, rows: slice | list[int]) -> tuple[Floats, Floats]:
        """Return the mean of each arm in `rows` and the square of its deviation, (K,) each, at x (d,)."""
        inverse, theta = self._inverse[rows], self._theta[rows]
        k = theta.shape[0]
        # `dot`, as for one vector `@` takes longer to start than to multiply.
        reach = inverse.reshape(k * self.d, self.d).dot(features).reshape(k, self.d)
        return theta.dot(features), reach.dot(features)

    def mean_and_std_many(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what `mean_and_std` does for m contexts at once, features (m, d): two arrays (m, K)."""
        if self._is_behind:
            self._catch_up()
        rows = self._statistics.select(arms)
        squares = self._squares_many(features, rows)
        return features @ self._theta[rows].T, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def _squares_many(self, features: Floats, rows: slice | list[int]) -> Floats:
        """Return the squared deviation of each arm in `rows` at m contexts, features (m, d): an array (m, K)."""
        inverse = self._inverse[rows]
        squares = np.empty((len(features), len(inverse)))
        for k in range(len(inverse)):
            np.vecdot(features @ inverse[k], features, out=squares[:, k])
        return squares

    def noise_variance(self) -> float:
        """Return the estimated variance of a reward around its mean."""
        squares, weight = self._noise_sums()
        return squares / weight

    def _noise_sums(self) -> tuple[float, float]:
        """Return the sum of squared residuals and its weight, the prior's included."""
        if self._is_behind:
            self._catch_up()
        prior, prior_weight = self._noise
        seen, squared = np.add.reduce(self._statistics.sums, axis=0).tolist()
        residual = squared + self._prior_squares() - float(np.vdot(self._b, self._theta))
        return prior * prior_weight + max(residual, 0.0), prior_weight + max(seen, 0.0)

    def total_weight(self) -> float:
        """Return the weight of all feedback standing, over all arms, as far as it has not faded."""
        return self._statistics.weight()

    def summary(self) -> PosteriorSummary:
        """Return noise variance and weight of feedback as they stand."""
        return PosteriorSummary(self.noise_variance(), self.total_weight())

    def update(self, changes: Iterable[RewardChange]) -> None:
        """Fold changes into the statistics. Raises ValueError for an unknown arm or features of another length."""
        for change in changes:
            row, factor = self._statistics.checked_row(change), 1.0
            if self._forgetting is not None:
                factor = self._forgetting.weight(change.at, new=change.weight > 0)
            factor *= self._discounts.factor(change)
            self._statistics.add(row, change, factor)
            self._on_round(row, change.features, factor * change.weight, factor * change.weighted)

    def _on_round(self, row: int, x: Floats, weight: float, weighted: float) -> None:
        """Follow an arm's sums, to which a round was added."""
        if self._must_recompute():
            self.recompute()
        else:
            self._follow(row, x, weight, weighted)

    def _follow(self, row: int, x: Floats, weight: float, weighted: float) -> None:
        """Follow an arm's sums with A^-1 and theta, by rank one, or afresh when that would lose digits.

        Sherman & Morrison 1950: with u = A^-1 x and p = 1 + w x^T u, the inverse loses u u^T w / p, and theta gains
        u (weighted - w x^T theta) / p (recursive least squares).
        """
        self._b[row] += weighted * x
        inverse, theta = self._inverse[row], self._theta[row]
        u = inverse.dot(x)
        pivot = 1.0 + weight * float(u.dot(x))
        self._ages[row] += 1
        if pivot < _LEAST_PIVOT or self._ages[row] >= self._REFRESH_EVERY:
            self._refresh(row)
            return
        theta += u * ((weighted - weight * float(theta.dot(x))) / pivot)
        if weight:
            (u * (-weight / pivot))[:, None].dot(u[None, :], out=self._outer)  # twice as fast as broadcasting
            inverse += self._outer

    def recompute(self) -> None:
        """Let fade what has to, but never the prior, and compute from the sums alone all that follows from them.

        Raises:
            numpy.linalg.LinAlgError: the sums of an arm are those of no rounds.
        """
        if self._forgetting is not None:
            self._statistics.scale(self._forgetting.rebase())
        self._solve()

    def _solve(self) -> None:
        """Draw the prior, and compute from it and the sums each arm's inverse and mean."""
        precision = self._prior_precision()
        factors = np.linalg.inv(np.linalg.cholesky(self._statistics.a + np.diag(precision)))
        self._inverse = np.matmul(factors.transpose(0, 2, 1), factors)
        self._b = self._statistics.b + self._draw_prior(precision)
        self._theta = np.einsum("kij,kj->ki", self._inverse, self._b)
        self._ages = [0] * len(self._statistics)

    def state(self) -> bytes:
        """Return the sums as a snapshot; what follows from them is computed on restore."""
        header: dict[str, Any] = {"kind": self._KIND, "arms": list(self.arms), "d": self.d}
        header["fingerprint"] = self.fingerprint
        if self._forgetting is not None:
            header["fading"] = self._forgetting.state()
        header["doubts"] = self._discounts.state()
        return snapshot.pack(header, self._statistics.arrays())

    def restore(self, state: bytes) -> None:
        """Replace the sums by a snapshot's. Raises SnapshotError and changes nothing if they cannot be used.

        A snapshot of a time without half-life begins its clock anew.
        """
        header, arrays = snapshot.unpack(state)
        fades = self._statistics.squared_weight_sums is not None
        statistics = ArmStatistics.from_snapshot(
            header, arrays, kind=self._KIND, d=self.d, fingerprint=self.fingerprint, fades=fades
        )
        discounts = ArmDiscounts()
        try:
            discounts.restore(header.get("doubts", discounts.state()))
            np.linalg.cholesky(statistics.a + np.diag(self._prior_precision()))
            if self._forgetting is not None:
                self._forgetting.restore(header.get("fading") or NEW_CLOCK)
        except np.linalg.LinAlgError as error:
            raise SnapshotError("snapshot holds a precision matrix that is not positive definite") from error
        except ValueError as error:
            raise SnapshotError(f"snapshot cannot be used: {error}") from error
        self._statistics, self._discounts = statistics, discounts
        self._on_changed_sums()
