"""Bayesian linear regressions, one per arm, drawn together by what the arms have in common."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.drift.arm_discounts import ArmDiscounts
from highwayman.bandit.drift.forgetting import NEW_CLOCK, Forgetting
from highwayman.bandit.regression.arm_statistics import ArmStatistics
from highwayman.bandit.regression.marginal_likelihood import empirical_bayes_precision
from highwayman.bandit.regression.prior import Prior
from highwayman.bandit.regression.sequential import PosteriorSummary
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

_KIND = "hierarchical"
_STEP = math.log(1.1)  # the prior is drawn anew whenever the weight of feedback has grown by a tenth
_NOISE_WEIGHT = 20.0  # observations that the prior's noise is worth
_LEAST_PIVOT = 1e-6  # a downdate that would shrink the determinant by more than this is computed afresh


@dataclass(frozen=True, slots=True)
class HierPrior:
    """What is believed before anything is said. Precisions are in units of the noise: so many observations."""

    early_precision: float = 3000.0  # of an arm's own features, after one round of feedback per arm
    final_precision: float = 2.0  # what that falls to
    caution: float = 10.0  # times the precision that the evidence speaks for is enough, however early
    shared_precision: float = 30.0  # of the shared features
    intercept_precision: float = 1.0  # of the shared intercept, and of each arm's own
    prior_mean: float = 0.6  # expected quality of an arm nothing is known of
    noise_variance: float = 0.15  # of rewards around their mean, worth 20 observations; learned from there

    def __post_init__(self) -> None:
        """Raise ValueError for a number that cannot be."""
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "prior_mean":
                if not math.isfinite(value):
                    raise ValueError(f"prior_mean must be a finite number, got {value!r}")
            elif not (math.isfinite(value) and value > 0):
                raise ValueError(f"{one.name} must be > 0, got {value!r}")


class HierPosterior:
    """Regressions theta_k ~ N(beta, sigma^2 L(n)^-1) around a beta that all arms share and that is learned from all.

    Hong, Kveton, Katariya, Zaheer & Ghavamzadeh, "Hierarchical Bayesian Bandits", AISTATS 2022 (arXiv 2111.06929), with
    beta at its posterior mean. A hard query is hard for every arm: what they have in common is learned from
    everything that is said, and an arm's own part only has to say where it differs. A new arm starts at beta.

    The precision of an arm's own features falls with the weight n of all feedback on K arms as `early_precision` K / n,
    and to `caution` times what the evidence speaks for if that is less, but never below `final_precision`: while little
    is known, arms differ by their intercepts alone, as in a sampler without contexts, and what a query says of an arm
    has to be earned. Routing breaks the Gaussian noise: thumbs are 0 or 1.

    What is learned are sums over rounds, so any round can be changed or undone, and shards can be merged. What follows
    from them is kept up by rank one, with the prior as it was when n last grew by a tenth, and computed from the sums
    alone whenever a snapshot is taken or restored. The prior never fades; what was said does, at a half-life if there
    is one, and counts for little once an arm is doubted.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        prior: HierPrior | None = None,
        forgetting: Forgetting | None = None,
    ) -> None:
        """Start every arm at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            prior: what is believed at first.
            fading: the half-life of what is said; None: it counts for ever.
        """
        if d < 1:
            raise ValueError(f"d must be >= 1, got {d!r}")
        self.d = d
        self.fingerprint = fingerprint
        self._prior = prior or HierPrior()
        self._fading, self._doubts = forgetting, ArmDiscounts()
        self._hyperprior_precision = np.full(d, self._prior.shared_precision)
        self._hyperprior_precision[-1] = self._prior.intercept_precision
        self._hyperprior_mean = np.zeros(d)
        self._hyperprior_mean[-1] = self._prior.prior_mean
        self._sums = ArmStatistics(d)
        self.recompute()

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return self._sums.arms

    @property
    def shared(self) -> Floats:
        """What the arms have in common, beta (d,), as of the last time the prior was drawn."""
        return self._shared.copy()

    def add_arm(self, name: str) -> None:
        """Put a new arm at what the others have in common; an arm already known keeps its statistics."""
        if self._sums.add_arm(name):
            self.recompute()

    def apply_prior(self, prior: Prior) -> None:
        """Count what a prior says of its arms as if it had been told here."""
        for name in prior.sums.arms:
            self.add_arm(name)
        self._sums.merge(prior.sums)
        self.recompute()

    def warm_start(self, like: str, arm: str, *, weight: float) -> None:
        """Give a new arm what was said of another, as if it were feedback of total weight `weight` on the new one."""
        self.add_arm(arm)
        self._sums.warm_start(like, arm, weight=weight)
        self.recompute()

    def merge(self, other: "HierPosterior") -> None:
        """Add what another shard of the same traffic learned: as if one had learned both streams.

        Raises:
            ValueError: features of another encoder or length, or what was said fades, and so has no common clock.
        """
        if other.fingerprint != self.fingerprint:
            raise ValueError(f"features of encoder {other.fingerprint!r} do not mix with those of {self.fingerprint!r}")
        if self._fading is not None or other._fading is not None or self._doubts or other._doubts:
            raise ValueError("posteriors with a half-life or doubted arms cannot be merged: their weights differ")
        for name in other.arms:
            self.add_arm(name)
        self._sums.merge(other._sums)
        self.recompute()

    def mean_and_std(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and the deviation of its own part in units of the noise's, (K,) each, at x (d,)."""
        rows = self._sums.select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        k = len(theta)
        squares = inverse.reshape(k * self.d, self.d).dot(features).reshape(k, self.d).dot(features)
        return theta.dot(features), np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def mean_and_std_many(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return what `mean_and_std` does for m contexts at once, features (m, d): two arrays (m, K)."""
        rows = self._sums.select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        squares = np.empty((len(features), len(theta)))
        for k in range(len(theta)):
            np.vecdot(features @ inverse[k], features, out=squares[:, k])
        return features @ theta.T, np.sqrt(np.maximum(squares, 0.0, out=squares), out=squares)

    def total_weight(self) -> float:
        """Return the weight of all feedback standing, over all arms, as far as it has not faded."""
        return self._sums.weight()

    def noise_variance(self) -> float:
        """Return the estimated variance of a reward around its mean: the mean of its inverse-gamma posterior."""
        seen, squared = self._sums.sums.sum(axis=0).tolist()
        residual = squared + self._prior_squares - float(np.vdot(self._full_b, self._theta))
        prior = self._prior.noise_variance * _NOISE_WEIGHT
        return float((prior + max(residual, 0.0)) / (_NOISE_WEIGHT + max(seen, 0.0)))

    def summary(self) -> PosteriorSummary:
        """Return noise variance and weight of feedback as they stand."""
        return PosteriorSummary(self.noise_variance(), self.total_weight())

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm, as far as it has not faded."""
        return float(self._sums.sums[self._sums.row(arm), 0])

    def discount(self, arm: str, *, share: float) -> None:
        """Let what was said of an arm count for a share: of all rounds decided up to the latest one heard of.

        A later change of such a round counts for the share, too. Raises ValueError for a share that is not in (0, 1].
        """
        row = self._sums.row(arm)
        self._doubts.add(arm, share)
        self._sums.scale(share, row)
        self.recompute()

    def update(self, changes: Iterable[RewardChange]) -> None:
        """Fold changes into the statistics. Raises ValueError for an unknown arm or features of another length."""
        for change in changes:
            self._update(change)

    def _update(self, change: RewardChange) -> None:
        row, new = self._sums.checked_row(change), change.weight > 0
        factor = 1.0 if self._fading is None else self._fading.weight(change.at, new=new)
        factor *= self._doubts.factor(change)
        self._sums.add(row, change, factor)
        self._full_b[row] += factor * change.weighted * change.features
        stale = self._stage() != self._settled_at or (self._fading is not None and self._fading.due())
        if stale or not self._follow(row, change, factor):
            self.recompute()

    def _follow(self, row: int, change: RewardChange, factor: float) -> bool:
        """Keep A^-1 and theta up by Sherman & Morrison 1950; return False if that would lose digits."""
        inverse, theta, x = self._inverse[row], self._theta[row], change.features
        weight = factor * change.weight
        u = inverse.dot(x)
        pivot = 1.0 + weight * float(u.dot(x))
        if pivot < _LEAST_PIVOT:
            return False
        theta += u * ((factor * change.weighted - weight * float(theta.dot(x))) / pivot)
        if weight:
            np.multiply((u * (-weight / pivot))[:, None], u, out=self._room)
            inverse += self._room
        return True

    def _stage(self) -> int:
        """Return how often the weight of feedback has grown by a tenth."""
        return int(math.log(max(self.total_weight(), 1.0)) / _STEP)

    def recompute(self) -> None:
        """Let fade what has to, draw the prior anew, and compute from the sums alone all that follows from them.

        With P_k = (L + S_k)^-1, theta_k = P_k (b_k + L m_k) for an arm's prior mean m_k.

        Raises:
            numpy.linalg.LinAlgError: the sums of an arm are those of no rounds.
        """
        if self._fading is not None:
            self._sums.scale(self._fading.rebase())
        own, b = self._own_precision(), self._sums.b
        factors = np.linalg.inv(np.linalg.cholesky(self._sums.a + np.diag(own)))
        self._inverse = np.matmul(factors.transpose(0, 2, 1), factors)  # (K, d, d)
        means = self._prior_means(own)  # (K, d)
        self._full_b = b + own * means
        self._theta = np.einsum("kij,kj->ki", self._inverse, self._full_b)
        off = self._shared - self._hyperprior_mean
        self._prior_squares = float((own * means**2).sum() + (self._hyperprior_precision * off**2).sum())
        self._settled_at = self._stage()
        self._room = np.empty((self.d, self.d))

    def _prior_means(self, own: Floats) -> Floats:
        """Draw beta from all that was said, and return the arms' prior means (K, d): beta for each.

        The arms' own parts integrated out leave for beta the precision L_0 + sum_k (L - L P_k L) and the evidence
        L_0 m_0 + sum_k L P_k b_k.
        """
        lent = own * np.einsum("kij,kj->ki", self._inverse, self._sums.b)  # (K, d)
        root = np.diag(self._hyperprior_precision + len(lent) * own) - own[:, None] * self._inverse.sum(axis=0) * own
        self._shared = np.linalg.solve(root, self._hyperprior_precision * self._hyperprior_mean + lent.sum(axis=0))
        return np.broadcast_to(self._shared, lent.shape)

    def _own_precision(self) -> Floats:
        """Return the precision of an arm's own part, the diagonal of L(n), (d,)."""
        prior, arms, rounds = self._prior, max(len(self._sums), 1), max(self.total_weight(), 1.0)
        precision = prior.early_precision * min(arms / rounds, 1.0)
        if precision > prior.final_precision:
            root, noise = (self._hyperprior_precision, self._hyperprior_mean), (prior.noise_variance, _NOISE_WEIGHT)
            found = empirical_bayes_precision(self._sums, prior.intercept_precision, root, noise)
            precision = precision if found is None else min(precision, prior.caution * found)
        own = np.full(self.d, max(prior.final_precision, precision))
        own[-1] = prior.intercept_precision
        return own

    def state(self) -> bytes:
        """Return the sums as a snapshot, and settle, so that whoever restores it goes on as this one does."""
        self.recompute()
        header: dict[str, Any] = {"kind": _KIND, "arms": list(self.arms), "d": self.d, "fingerprint": self.fingerprint}
        if self._fading is not None:
            header["fading"] = self._fading.state()
        header["doubts"] = self._doubts.state()
        return snapshot.pack(header, self._sums.arrays())

    def restore(self, state: bytes) -> None:
        """Replace the sums by a snapshot's. Raises SnapshotError and changes nothing if they cannot be used.

        A snapshot of a time without half-life begins its clock anew.
        """
        header, arrays = snapshot.unpack(state)
        found, discounts = (
            ArmStatistics.from_snapshot(header, arrays, kind=_KIND, d=self.d, fingerprint=self.fingerprint),
            ArmDiscounts(),
        )
        try:
            discounts.restore(header.get("doubts", discounts.state()))
            np.linalg.cholesky(found.a + np.diag(self._own_precision()))
            if self._fading is not None:
                self._fading.restore(header.get("fading") or NEW_CLOCK)
        except np.linalg.LinAlgError as error:
            raise SnapshotError("snapshot holds a precision matrix that is not positive definite") from error
        except ValueError as error:
            raise SnapshotError(f"snapshot cannot be used: {error}") from error
        self._sums, self._doubts = found, discounts
        self.recompute()
