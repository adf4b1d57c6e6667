"""One regression per arm, learned from rewards and from comparisons of two arms alike."""

import math
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.preferences.bradley_terry import laplace_approximation, posterior_gap_mode
from highwayman.bandit.preferences.comparisons import Comparisons
from highwayman.bandit.preferences.joint_gaussian import JointGaussian
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, PreferenceChange, RewardChange

_KIND = "preferences"
_GROWTH = 0.1  # by how much feedback grows until the mode is searched anew
_PATIENCE = 16  # changes that are waited for at least


@dataclass(frozen=True, slots=True)
class PreferencePrior:
    """What is believed before any feedback. Precisions are in units of the noise: so many observations.

    Attributes:
        prior_precision: of every weight but the intercept.
        intercept_precision: of the intercept.
        prior_mean: expected quality of an arm nothing is known of.
        noise_variance: of rewards around their mean; learned from there.
        noise_weight: observations that `noise_variance` is worth.
        scale: log-odds of being preferred per unit of quality: 0.1 better is preferred 65 times in 100.
    """

    prior_precision: float = 2.0
    intercept_precision: float = 1.0
    prior_mean: float = 0.6
    noise_variance: float = 0.1
    noise_weight: float = 20.0
    scale: float = 6.0

    def __post_init__(self) -> None:
        """Raise ValueError for a number that cannot be."""
        for option in fields(self):
            value = getattr(self, option.name)
            if option.name == "prior_mean":
                if not math.isfinite(value):
                    raise ValueError(f"prior_mean must be a finite number, got {value!r}")
            elif not (math.isfinite(value) and value > 0):
                raise ValueError(f"{option.name} must be a number > 0, got {value!r}")


class PreferencePosterior:
    """theta_k ~ N(m, sigma^2 L^-1), r ~ N(theta_k^T x, sigma^2), P(i beats j) = logistic(s (theta_i - theta_j)^T x).

    One posterior over all arms' coefficients, by Laplace's approximation: the linear logistic model of Saha, "Optimal
    Algorithms for Stochastic Contextual Preference Bandits", NeurIPS 2021, section 2, with coefficients per arm instead
    of features per arm, and rewards beside it on the same scale. sigma^2 is the mean of its inverse-gamma posterior
    given the rewards. Routing breaks what both need: that one scale s holds for every person and query, that
    preferences are transitive (people like long answers), and that which answers were compared is independent of them.

    Learned are sums over rewards and the comparisons themselves, so both can be taken back. What follows from them, a
    Gaussian, is kept up by rank one, each comparison taken for Gaussian at the mode that it alone leads to; the joint
    mode is searched anew when feedback has grown by a tenth, whenever a snapshot is taken or restored, and before
    comparisons are folded: always from the feedback alone. Memory grows with (K d)^2 and a search with (K d)^3: for
    eight arms of 64 features 2 MB and 55 ms, for 64 of them 134 MB and many seconds.
    """

    def __init__(
        self, *, d: int, fingerprint: str = "", comparisons: int = 2000, prior: PreferencePrior | None = None
    ) -> None:
        """Start every arm at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            comparisons: that are held one by one; older ones count as Gaussian evidence.
            prior: what is believed at first.
        """
        if d < 1:
            raise ValueError(f"d must be >= 1, got {d!r}")
        if not comparisons >= 1:
            raise ValueError(f"comparisons must be >= 1, got {comparisons!r}")
        self.d, self.fingerprint = d, fingerprint
        self._prior = prior or PreferencePrior()
        self._precision = np.full(d, float(self._prior.prior_precision))
        self._precision[-1] = self._prior.intercept_precision
        self._prior_mean = np.zeros(d)
        self._prior_mean[-1] = self._prior.prior_mean
        self._sums = ArmStatistics(d)
        self._compared = Comparisons(d=d, scale=self._prior.scale, most=int(comparisons))
        self.recompute()

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return self._sums.arms

    def add_arm(self, name: str) -> None:
        """Put a new arm at the prior; an arm already known keeps its statistics."""
        if self._sums.add_arm(name):
            self.recompute()

    def noise_variance(self) -> float:
        """Return the estimated variance of a reward around its mean, as of the last time the mode was searched."""
        return self._noise

    def comparisons_held(self) -> int:
        """Return how many comparisons are held one by one."""
        return len(self._compared)

    def coefficients(self) -> tuple[Floats, Floats]:
        """Return mean (K, d) and covariance (K, d, K, d) of all arms' coefficients, as they stand."""
        return self._joint.mean.copy(), self._joint.covariance()

    def mean_and_std(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and deviation at `features` (d,), (K,) each.

        Deviations are roots of quasi-variances: for differences of two arms they are right or nearly so, though the
        arms are taken for independent; the level that all have in common, of which comparisons say nothing, is left
        out. With eight arms P(best) came within 0.012 of that of the correlated arms where all pairs, or one arm and
        each other, were compared alike. Where arms were compared in a chain, each with the next one alone, it was off
        by up to 0.14, in a ring by 0.10: ends hang together that nobody compared. From each arm's own variance it was
        off by up to 0.48.
        """
        means, squares = self._joint.mean_and_quasi_variance(features, self._sums.select(arms))
        return means, np.sqrt(squares)

    def mean_and_std_many(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what `mean_and_std` does for m contexts at once, features (m, d): two arrays (m, K)."""
        means, squares = self._joint.mean_and_quasi_variance_many(features, self._sums.select(arms))
        return means, np.sqrt(squares)

    def update(self, changes: Iterable[RewardChange | PreferenceChange]) -> None:
        """Fold changes in, in log order.

        Taking back a preference that is not known, or that was folded too long ago, changes nothing. Raises ValueError
        for an unknown arm, features of another length, or an arm compared with itself.
        """
        for change in changes:
            followed = self._compare(change) if isinstance(change, PreferenceChange) else self._reward(change)
            self._since += 1
            if not followed or self._since >= self._due:
                self.recompute()

    def _reward(self, change: RewardChange) -> bool:
        """Count a change of reward; return False if the Gaussian cannot follow it."""
        row = self._sums.row(change.arm)
        self._sums.add(row, change)
        reach = self._joint.contrast([(row, 1.0)], change.features)
        return self._joint.condition(reach, change.weight / self._noise, change.weighted / self._noise)

    def _compare(self, change: PreferenceChange) -> bool:
        """Count a change of preference; return False if the Gaussian cannot follow it."""
        compared = self._compared
        row = compared.row(self._sums.row(change.better), self._sums.row(change.worse), change)
        first, second, weight, share = int(row[0]), int(row[1]), float(row[2]), float(row[3])
        reach = self._joint.contrast([(first, 1.0), (second, -1.0)], change.features)
        if change.weight < 0:
            precision, pull = compared.remove(row)
            return self._joint.condition(reach, -precision, -pull)
        if change.weight == 0:
            return True
        scale = self._prior.scale
        gap = posterior_gap_mode(reach.mean, reach.variance, pull=weight * scale, share=share, scale=scale)
        followed = self._joint.condition(reach, *compared.add(row, gap))
        if len(compared) > compared.most:  # folded at the joint mode, which hangs on nothing but the feedback
            self.recompute()
            compared.condense()
        return followed

    def recompute(self) -> None:
        """Compute the noise, the joint mode and the curvature there from the feedback alone.

        Raises:
            numpy.linalg.LinAlgError: the sums are those of no rounds and comparisons.
        """
        d = self.d
        arm_precisions = self._sums.a + np.diag(self._precision)
        pull = self._sums.b + self._precision * self._prior_mean
        inverses = _inverted(arm_precisions)
        theta = np.einsum("kij,kj->ki", inverses, pull)
        self._noise = self._learned_noise(float(np.vdot(pull, theta)))
        covariance = _block_diagonal(self._noise * inverses)
        places = self._compared.places()
        if places:  # the others stay independent
            theta[places], compared_covariance = self._mode(
                arm_precisions[places] / self._noise, pull[places] / self._noise, places
            )
            covariance[np.ix_(places, range(d), places, range(d))] = compared_covariance
        self._joint = JointGaussian(theta, covariance)
        self._compared.linearise(theta)
        self._since = 0
        self._due = max(_PATIENCE, _GROWTH * (self._sums.weight() + len(self._compared)))

    def _mode(self, arm_precisions: Floats, pull: Floats, places: list[int]) -> tuple[Floats, Floats]:
        """Return mode (J, d) and covariance (J, d, J, d) of the J arms that were compared.

        Args:
            arm_precisions: (J, d, d) precision of each by its rewards and the prior.
            pull: (J, d) that times its mean.
            places: (J,) of the arms.
        """
        precision = _block_diagonal(arm_precisions)
        self._compared.add_condensed(precision, pull, places)
        mode, curvature = laplace_approximation(
            precision, pull, self._compared.duels().among(places), self._prior.scale
        )
        return mode, _inverted(curvature).reshape(precision.shape)

    def _learned_noise(self, explained: float) -> float:
        """Return the noise variance: residuals of the ridge solutions on rewards alone, and the prior's share."""
        seen, squared = self._sums.sums.sum(axis=0).tolist()
        prior = self._prior
        at_prior = len(self._sums) * float(self._precision @ self._prior_mean**2)
        residual = max(squared + at_prior - explained, 0.0)
        return float((prior.noise_weight * prior.noise_variance + residual) / (prior.noise_weight + max(seen, 0.0)))

    def state(self) -> bytes:
        """Return the evidence as a snapshot, and recompute, so that whoever restores it goes on as this one does."""
        self.recompute()
        header: dict[str, Any] = {"kind": _KIND, "arms": list(self.arms), "d": self.d, "fingerprint": self.fingerprint}
        header["scale"] = self._prior.scale
        return snapshot.pack(header, {**self._sums.arrays(), **self._compared.arrays()})

    def restore(self, state: bytes) -> None:
        """Replace the evidence by a snapshot's. Raises SnapshotError and changes nothing if it cannot be used."""
        header, arrays = snapshot.unpack(state)
        sums = ArmStatistics.from_snapshot(header, arrays, kind=_KIND, d=self.d, fingerprint=self.fingerprint)
        compared = self._compared.from_arrays(arrays, len(sums))
        if len(arrays["pairs"]) and header.get("scale") != self._prior.scale:
            raise SnapshotError(f"snapshot was folded at scale {header.get('scale')}, this one is {self._prior.scale}")
        restored = copy(self)  # recomputing makes anew all that follows from the evidence, and leaves what `self` holds
        restored._sums, restored._compared = sums, compared
        try:
            restored.recompute()
        except np.linalg.LinAlgError as error:
            raise SnapshotError("snapshot holds a precision matrix that is not positive definite") from error
        vars(self).update(vars(restored))


def _block_diagonal(blocks: Floats) -> Floats:
    """Return the matrix (K, d, K, d) that has the blocks (K, d, d) on its diagonal."""
    k, d, _ = blocks.shape
    matrix, index = np.zeros((k, d, k, d)), np.arange(k)
    matrix[index, :, index, :] = blocks
    return matrix


def _inverted(matrices: Floats) -> Floats:
    """Return the inverses of positive definite matrices (..., n, n). Raises numpy.linalg.LinAlgError."""
    factors = np.linalg.inv(np.linalg.cholesky(matrices))
    inverses: Floats = factors.swapaxes(-1, -2) @ factors
    return inverses
