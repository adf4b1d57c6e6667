"""Bayesian linear regressions, one per arm, drawn together by what the arms have in common."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from highwayman.bandit import snapshot
from highwayman.bandit.in_order import Known
from highwayman.env.errors import SnapshotError
from highwayman.env.types import Floats, RewardChange

_STEP = math.log(1.1)  # the prior is drawn anew whenever the weight of feedback has grown by a tenth
_NOISE_WEIGHT = 20.0  # observations that the prior's noise is worth
_LEAST_PIVOT = 1e-6  # a downdate that would shrink the determinant by more than this is computed afresh


class HierPosterior:
    """Regressions theta_k ~ N(beta, sigma^2 L(n)^-1) around a beta that all arms share and that is learned from all.

    Hong, Kveton, Katariya, Zaheer & Ghavamzadeh, "Hierarchical Bayesian Bandits", AISTATS 2022 (arXiv 2111.06929), with
    beta at its posterior mean. A hard query is hard for every arm: what they have in common is learned from
    everything that is said, and an arm's own part only has to say where it differs. A new arm starts at beta.

    The precision of an arm's own features falls with the weight n of all feedback on K arms, to max(`final_precision`,
    `early_precision` K / n): while little is known, arms differ by their intercepts alone, as in a sampler without
    contexts, and what a query says of an arm has to be earned. Routing breaks the Gaussian noise: thumbs are 0 or 1.

    What is learned are sums over rounds, so any round can be changed or undone, and shards can be merged. What follows
    from them is kept up by rank one, with the prior as it was when n last grew by a tenth, and computed from the sums
    alone whenever a snapshot is taken or restored.
    """

    def __init__(
        self,
        *,
        d: int,
        fingerprint: str = "",
        early_precision: float = 3000.0,
        final_precision: float = 2.0,
        shared_precision: float = 30.0,
        intercept_precision: float = 1.0,
        prior_mean: float = 0.6,
        noise_variance: float = 0.15,
    ) -> None:
        """Start every arm at the prior.

        Args:
            d: number of features, the last of them the constant 1.
            fingerprint: of the encoder that makes the features.
            early_precision: of an arm's own features after one round of feedback per arm, in units of the noise.
            final_precision: what that falls to.
            shared_precision: of the shared features.
            intercept_precision: of the shared intercept and of each arm's own: how many observations they are worth.
            prior_mean: expected quality of an arm nothing is known of.
            noise_variance: expected variance of rewards around their mean, worth 20 observations; learned from there.
        """
        for name, value in (
            ("early_precision", early_precision),
            ("final_precision", final_precision),
            ("shared_precision", shared_precision),
            ("intercept_precision", intercept_precision),
            ("noise_variance", noise_variance),
        ):
            if not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be > 0, got {value!r}")
        if not np.isfinite(prior_mean):
            raise ValueError(f"prior_mean must be a finite number, got {prior_mean!r}")
        if d < 1:
            raise ValueError(f"d must be >= 1, got {d!r}")
        self.d = d
        self.fingerprint = fingerprint
        self._early, self._final = float(early_precision), float(final_precision)
        self._intercept = float(intercept_precision)
        self._root_precision = np.full(d, float(shared_precision))
        self._root_precision[-1] = intercept_precision
        self._root_mean = np.zeros(d)
        self._root_mean[-1] = prior_mean
        self._noise_variance = float(noise_variance)
        self._rows: dict[str, int] = {}
        self._a: Floats = np.zeros((0, d, d))  # (K, d, d) sum w x x^T
        self._b: Floats = np.zeros((0, d))  # (K, d) sum w r x
        self._sums: Floats = np.zeros((0, 2))  # (K, 2): sum w, sum w r^2
        self._outer: Floats = np.empty((d, d))  # room for a rank-one matrix
        self.settle()

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm known, in the order they were added."""
        return tuple(self._rows)

    @property
    def shared(self) -> Floats:
        """What the arms have in common, beta (d,), as of the last time the prior was drawn."""
        return self._shared.copy()

    def add_arm(self, name: str) -> None:
        """Put a new arm at what the others have in common; an arm already known keeps its statistics."""
        if name in self._rows:
            return
        self._rows[name] = len(self._rows)
        self._a = np.concatenate([self._a, np.zeros((1, self.d, self.d))])
        self._b = np.concatenate([self._b, np.zeros((1, self.d))])
        self._sums = np.concatenate([self._sums, np.zeros((1, 2))])
        self.settle()

    def spread(self, features: Floats, arms: Sequence[str]) -> tuple[Floats, Floats]:
        """Return each arm's mean and the deviation of its own part in units of the noise's, (K,) each, at x (d,)."""
        rows = self._select(arms)
        inverse, theta = self._inverse[rows], self._theta[rows]
        k = len(theta)
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

    def weight_seen(self) -> float:
        """Return the weight of all feedback standing, over all arms."""
        return float(self._sums[:, 0].sum())

    def noise_variance(self) -> float:
        """Return the estimated variance of a reward around its mean: the mean of its inverse-gamma posterior."""
        seen, squared = self._sums.sum(axis=0).tolist()
        residual = squared + self._prior_squares - float(np.vdot(self._full_b, self._theta))
        prior = self._noise_variance * _NOISE_WEIGHT
        return float((prior + max(residual, 0.0)) / (_NOISE_WEIGHT + max(seen, 0.0)))

    def known(self) -> Known:
        """Return noise variance and weight of feedback as they stand."""
        return Known(self.noise_variance(), self.weight_seen())

    def update(self, changes: Iterable[RewardChange]) -> None:
        """Fold changes into the statistics. Raises ValueError for an unknown arm or features of another length."""
        for change in changes:
            self._update(change)

    def _update(self, change: RewardChange) -> None:
        row, x, weight = self._row(change.arm), change.features, change.weight
        if x.shape != (self.d,):
            raise ValueError(f"features must have shape ({self.d},), got {x.shape}")
        self._sums[row, 0] += weight
        self._sums[row, 1] += change.squared
        gained = change.weighted * x
        self._b[row] += gained
        self._full_b[row] += gained
        if weight:
            self._add_outer(self._a[row], weight * x, x)
        if self._stage() != self._settled_at or not self._follow(row, x, change):
            self.settle()

    def _follow(self, row: int, x: Floats, change: RewardChange) -> bool:
        """Keep A^-1 and theta up by Sherman & Morrison 1950; return False if that would lose digits."""
        inverse, theta, weight = self._inverse[row], self._theta[row], change.weight
        u = inverse.dot(x)
        pivot = 1.0 + weight * float(u.dot(x))
        if pivot < _LEAST_PIVOT:
            return False
        theta += u * ((change.weighted - weight * float(theta.dot(x))) / pivot)
        if weight:
            self._add_outer(inverse, u * (-weight / pivot), u)
        return True

    def _add_outer(self, matrix: Floats, left: Floats, right: Floats) -> None:
        """Add left right^T to a (d, d) matrix in place, without an allocation."""
        left[:, None].dot(right[None, :], out=self._outer)
        matrix += self._outer

    def _stage(self) -> int:
        """Return how often the weight of feedback has grown by a tenth."""
        return int(math.log(max(self.weight_seen(), 1.0)) / _STEP)

    def settle(self) -> None:
        """Draw the prior anew, and compute from the sums alone all that follows from them.

        With P_k = (L + S_k)^-1, the arms' own parts integrated out leave for beta the precision
        L_0 + sum_k (L - L P_k L) and the evidence L_0 m_0 + sum_k L P_k b_k; then theta_k = P_k (b_k + L beta).

        Raises:
            numpy.linalg.LinAlgError: the sums of an arm are those of no rounds.
        """
        own = self._own_precision()
        factors = np.linalg.inv(np.linalg.cholesky(self._a + np.diag(own)))
        self._inverse = np.matmul(factors.transpose(0, 2, 1), factors)  # (K, d, d)
        lent = own * np.einsum("kij,kj->ki", self._inverse, self._b)  # (K, d)
        root = np.diag(self._root_precision + len(self._b) * own) - own[:, None] * self._inverse.sum(axis=0) * own
        self._shared = np.linalg.solve(root, self._root_precision * self._root_mean + lent.sum(axis=0))
        self._full_b = self._b + own * self._shared
        self._theta = np.einsum("kij,kj->ki", self._inverse, self._full_b)
        off = self._shared - self._root_mean
        self._prior_squares = float(len(self._b) * (own * self._shared).dot(self._shared))
        self._prior_squares += float((self._root_precision * off).dot(off))
        self._settled_at = self._stage()

    def _own_precision(self) -> Floats:
        """Return the precision of an arm's own part, the diagonal of L(n), (d,)."""
        arms, rounds = max(len(self._rows), 1), max(self.weight_seen(), 1.0)
        own = np.full(self.d, max(self._final, self._early * min(arms / rounds, 1.0)))
        own[-1] = self._intercept
        return own

    def state(self) -> bytes:
        """Return the sums as a snapshot, and settle, so that whoever restores it goes on as this one does."""
        self.settle()
        header = {"kind": "hierarchical", "arms": list(self._rows), "d": self.d, "fingerprint": self.fingerprint}
        return snapshot.pack(header, {"a": self._a, "b": self._b, "sums": self._sums})

    def restore(self, state: bytes) -> None:
        """Replace the sums by a snapshot's. Raises SnapshotError and changes nothing if they cannot be used."""
        header, arrays = snapshot.unpack(state)
        arms = self._checked_arms(header, arrays)
        kept = self._rows, self._a, self._b, self._sums
        self._rows = {name: row for row, name in enumerate(arms)}
        self._a, self._b, self._sums = arrays["a"].copy(), arrays["b"].copy(), arrays["sums"].copy()
        try:
            self.settle()
        except np.linalg.LinAlgError as error:
            self._rows, self._a, self._b, self._sums = kept
            self.settle()
            raise SnapshotError("snapshot holds a precision matrix that is not positive definite") from error

    def _checked_arms(self, header: dict[str, Any], arrays: snapshot.Arrays) -> list[str]:
        """Return the snapshot's arms, once it is known to fit this posterior."""
        if header.get("kind") != "hierarchical" or header.get("d") != self.d:
            raise SnapshotError(
                f"snapshot is of {header.get('kind')!r}, d={header.get('d')}; wanted hierarchical, d={self.d}"
            )
        if header.get("fingerprint") != self.fingerprint:
            raise SnapshotError(
                f"snapshot was learned on features of encoder {header.get('fingerprint')!r}, "
                f"this one is {self.fingerprint!r}; features of two encoders do not mix"
            )
        arms = [str(name) for name in header.get("arms") or ()]
        k = len(arms)
        shapes = {name: values.shape for name, values in arrays.items()}
        if len(set(arms)) != k or shapes != {"a": (k, self.d, self.d), "b": (k, self.d), "sums": (k, 2)}:
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
