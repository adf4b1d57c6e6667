"""One Gaussian over the coefficients of all arms, kept up by rank one, and which arm is best under it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats

_PENDING = 32  # rank-one updates that wait until they are subtracted together, as one product of matrices
_LEAST_PIVOT = 1e-6  # a downdate that would shrink the determinant by more than this loses digits

Signed = Sequence[tuple[int, float]]  # places of arms, and with which sign each one's quality counts


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """What is believed of one signed sum of arms' qualities at a context, and how it hangs together with the rest."""

    mean: float
    variance: float
    covariances: Floats  # (K d,) with every coefficient


class JointGaussian:
    """Coefficients (K, d) ~ N(mean, covariance), the arms correlated: a comparison ties two of them together.

    A rank-one update (Sherman & Morrison 1950) of all (K d)^2 covariances is put off: a prediction meanwhile takes
    those that wait into account, and every 32 of them are subtracted at once.
    """

    def __init__(self, mean: Floats, covariance: Floats) -> None:
        """Take mean (K, d) and covariance (K, d, K, d); neither is copied."""
        self.k, self.d = mean.shape
        self.mean = mean
        self._covariance = covariance
        self._waiting = np.empty((_PENDING, mean.size))
        self._signs = np.empty(_PENDING)
        self._count = 0

    def contrast(self, signed: Signed, x: Floats) -> Contrast:
        """Return what is believed of a signed sum of qualities at x (d,)."""
        waiting = self._waiting[: self._count]
        covariances, along, mean = np.zeros(self.mean.size), np.zeros(self._count), 0.0
        for place, sign in signed:
            part = slice(place * self.d, (place + 1) * self.d)
            covariances += sign * x.dot(self._covariance[place].reshape(self.d, -1))
            along += sign * waiting[:, part].dot(x)
            mean += sign * float(self.mean[place].dot(x))
        covariances -= (along * self._signs[: self._count]).dot(waiting)
        parts = covariances.reshape(self.k, self.d)
        variance = sum(sign * float(parts[place].dot(x)) for place, sign in signed)
        return Contrast(mean, variance, covariances)

    def condition(self, contrast: Contrast, precision: float, pull: float) -> bool:
        """Learn Gaussian evidence on a sum of qualities, precision and precision times value, each a change.

        Returns False, and changes nothing, if digits would be lost.
        """
        pivot = 1.0 + precision * contrast.variance
        if pivot < _LEAST_PIVOT:
            return False
        self.mean += (contrast.covariances * ((pull - precision * contrast.mean) / pivot)).reshape(self.k, self.d)
        if precision:
            self._waiting[self._count] = contrast.covariances * np.sqrt(abs(precision) / pivot)
            self._signs[self._count] = np.sign(precision)
            self._count += 1
            if self._count == _PENDING:
                self._covariance, self._count = self.covariance(), 0
        return True

    def covariance(self) -> Floats:
        """Return the covariance as it stands, (K, d, K, d)."""
        waiting = self._waiting[: self._count]
        covariance: Floats = (
            self._covariance.reshape(self.mean.size, -1) - (waiting.T * self._signs[: self._count]) @ waiting
        )
        return covariance.reshape(self._covariance.shape)

    def mean_and_quasi_variance(self, x: Floats, rows: slice | list[int]) -> tuple[Floats, Floats]:
        """Return mean and quasi-variance of the quality of the arms at `rows`, for x (d,): two arrays (K,)."""
        halves = self._covariance.reshape(-1, self.d).dot(x).reshape(self.k, self.d, self.k)
        joint = np.matmul(x, halves)[rows][:, rows]
        if self._count:
            along = self._waiting[: self._count].reshape(-1, self.d).dot(x).reshape(self._count, self.k)[:, rows]
            joint = joint - (along.T * self._signs[: self._count]) @ along
        variances = quasi_variances(joint.diagonal(), joint.sum(axis=1))
        return self.mean[rows].dot(x), np.maximum(variances, 0.0)

    def mean_and_quasi_variance_many(self, features: Floats, rows: slice | list[int]) -> tuple[Floats, Floats]:
        """Return what `mean_and_quasi_variance` does for m contexts at once, features (m, d): two arrays (m, K)."""
        blocks = self.covariance()[rows][:, :, rows]  # (K, d, K, d)
        variances = np.einsum("kikj->kij", blocks)
        quasi = quasi_variances(variances, blocks.sum(axis=2))
        squares = np.stack([np.vecdot(features @ matrix, features) for matrix in quasi], axis=1)
        return features @ self.mean[rows].T, np.maximum(squares, 0.0)


def quasi_variances(own: Floats, sums: Floats) -> Floats:
    """Return q (K, ...) so that the variance of each difference of two of K correlated values is near q_i + q_j.

    Firth & de Menezes, "Quasi-variances", Biometrika 91, 2004, section 3, by least squares as Ridout (1989): exact for
    values that are independent but for what moves all of them alike, and for any three. Which arm is best hangs on
    differences alone; so what no comparison can tell, the level of all, makes nobody explore. It is linear: variances
    may be numbers, or matrices (d, d) of which x^T . x is the variance. Some may come out negative where an arm is much
    better known against each of two others than those are against each other.

    Args:
        own: (K, ...) variances.
        sums: (K, ...) of each value's covariances with all K, itself included.
    """
    k = len(own)
    if k == 1:
        return own
    totals = k * own + own.sum(axis=0) - 2.0 * sums  # of the variances of all differences from one value
    quasi: Floats = 0.5 * totals if k == 2 else (totals - totals.sum(axis=0) / (2.0 * (k - 1))) / (k - 2)
    return quasi
