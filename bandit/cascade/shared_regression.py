"""A Bayesian linear regression per arm, sharing what arms have in common, from sums that can be taken away again."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from highwayman.env.types import Floats

_OWN = 5.0  # times as precise an arm's own part of a coefficient is believed to be 0 as what arms have in common
_NOISE_VARIANCE = 0.2  # of an answer's quality, worth 20 answers; learned from there
_NOISE_WEIGHT = 20.0
_STEP = math.log(1.1)  # coefficients are solved for again whenever the weight has grown by a tenth


class SharedRegression:
    """Regressions of a remainder on a small vector, p numbers, for each of K arms; nothing known is a remainder of 0.

    The hierarchy is the quality's (`HierPosterior`, after Hong et al., AISTATS 2022, arXiv 2111.06929), with fixed
    precisions: what a signal says of one arm's answers it mostly says of another's. Kept are sums over answers, so a
    statement that is taken back leaves nothing. Routing breaks the Gaussian noise: thumbs are 0 or 1.
    """

    def __init__(self, precisions: Sequence[float]) -> None:
        """Start with no answer, for vectors of p numbers.

        Takes the precision (p,) of what arms have in common, in units of the noise's: so many answers at which the
        number is 1 speak for a coefficient of 0.
        """
        self._p = p = len(precisions)
        self._precisions: Floats = np.array(precisions, dtype=np.float64)
        self._rows: dict[str, int] = {}
        self._a: Floats = np.zeros((0, p, p))  # (K, p, p) sum w x x^T
        self._b: Floats = np.zeros((0, p))  # (K, p) sum w y x
        self._squares: Floats = np.zeros(0)  # (K,) sum w y^2
        self._weights: Floats = np.zeros(0)  # (K,) sum w
        self._settled_at: int | None = None
        self._settled = 0
        self._theta: Floats = np.zeros((1, p))  # (K + 1, p); the last are the shared ones
        self._covariance: Floats = np.zeros((1, p, p))
        self._noise = _NOISE_VARIANCE

    @property
    def p(self) -> int:
        """How many numbers a vector has."""
        return self._p

    def weight(self) -> float:
        """Return the weight of all that has been learned."""
        return float(self._weights.sum())

    @property
    def settled(self) -> int:
        """How often the coefficients have been solved for."""
        return self._settled

    def widen(self, precisions: Sequence[float]) -> None:
        """Let vectors have more numbers after those so far, that were 0 in all answers before."""
        more = len(precisions)
        self._precisions = np.append(self._precisions, precisions)
        self._a = np.pad(self._a, ((0, 0), (0, more), (0, more)))
        self._b = np.pad(self._b, ((0, 0), (0, more)))
        self._p, self._settled_at = self._p + more, None

    def learn(self, arm: str, x: Floats, *, weight: float, weighted: float, squared: float) -> None:
        """Add what changes of the sums of w, w*y and w*y**2 at x (p,): negative numbers take away."""
        row = self._row(arm)
        self._a[row] += weight * np.outer(x, x)
        self._b[row] += weighted * x
        self._squares[row] += squared
        self._weights[row] += weight
        if weight <= 0:
            self._settled_at = None

    def scale(self, factor: float, arm: str | None = None) -> None:
        """Multiply the sums by a factor: an arm's, if it has any, or everybody's."""
        row = slice(None) if arm is None else self._rows.get(arm)
        if row is None:
            return
        for sums in (self._a, self._b, self._squares, self._weights):
            sums[row] *= factor
        self._settled_at = None

    def coefficients(self, arms: Sequence[str]) -> Floats:
        """Return the arms' coefficients, (K, p); those that arms have in common for an arm without answers."""
        self._settle()
        theta: Floats = self._theta[[self._rows.get(arm, -1) for arm in arms]]
        return theta

    def deviations(self, x: Floats, arms: Sequence[str]) -> Floats:
        """Return the standard deviation of what is believed of each arm at its own row of x, (K, p) -> (K,)."""
        self._settle()
        covariance = self._covariance[[self._rows.get(arm, -1) for arm in arms]]
        variances: Floats = np.einsum("kp,kpq,kq->k", x, covariance, x)
        return np.sqrt(np.maximum(variances, 0.0))

    def weight_of(self, arm: str) -> float:
        """Return the weight of what has been learned of an arm, at least 0."""
        row = self._rows.get(arm)
        return 0.0 if row is None else max(float(self._weights[row]), 0.0)

    def spreads(self, x: Floats, arms: Sequence[str]) -> Floats:
        """Return what `deviations` does in units of the noise's, (K,): it hangs on the vectors learned from alone."""
        return self.deviations(x, arms) / math.sqrt(self._noise)

    def to_json(self) -> dict[str, Any]:
        """Return the sums as plain numbers; empty before the first answer."""
        if not self._rows:
            return {}
        upper = np.triu_indices(self._p)
        sums = np.hstack([self._a[:, *upper], self._b, self._squares[:, None], self._weights[:, None]])
        return {"p": self._p, "arms": list(self._rows), "sums": base64.b64encode(sums.astype("<f8").tobytes()).decode()}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], *, precisions: Sequence[float]) -> Self:
        """Return what `to_json` wrote of one with such precisions. Raises LookupError, TypeError or ValueError."""
        regression, p = cls(precisions), len(precisions)
        if not state:
            return regression
        arms, upper = [str(arm) for arm in state["arms"]], np.triu_indices(p)
        width = len(upper[0])
        raw = np.frombuffer(base64.b64decode(state["sums"], validate=True), dtype="<f8").astype(np.float64)
        sums = raw.reshape(len(arms), width + p + 2)
        regression._rows = {arm: row for row, arm in enumerate(arms)}
        if state["p"] != p or len(regression._rows) != len(arms) or not np.isfinite(sums).all():
            raise ValueError("a regression has another width, an arm stands twice, or a number is not finite")
        regression._a = np.zeros((len(arms), p, p))
        regression._a[:, *upper] = regression._a[:, upper[1], upper[0]] = sums[:, :width]
        regression._b = sums[:, width : width + p].copy()
        regression._squares, regression._weights = sums[:, -2].copy(), sums[:, -1].copy()
        return regression

    def distance(self, other: Self, columns: Sequence[int] = (), other_columns: Sequence[int] = ()) -> float:
        """Return the largest absolute difference between the sums of two; an arm not known has none.

        With columns, those of one are compared with the others' in that order, -1 with nothing.
        """
        names = self._rows.keys() | other._rows.keys()
        pairs = ((self._sums_of(name, columns), other._sums_of(name, other_columns)) for name in names)
        return max((float(np.abs(left - right).max()) for left, right in pairs), default=0.0)

    def _sums_of(self, arm: str, columns: Sequence[int]) -> Floats:
        row = self._rows.get(arm)
        places = list(columns) or list(range(self._p))
        if row is None:
            return np.zeros(len(places) ** 2 + len(places) + 2)
        a, b = np.pad(self._a[row], ((0, 1), (0, 1))), np.pad(self._b[row], (0, 1))
        return np.concatenate(
            [a[np.ix_(places, places)].ravel(), b[places], self._squares[[row]], self._weights[[row]]]
        )

    def _row(self, arm: str) -> int:
        if arm not in self._rows:
            self._rows[arm] = len(self._rows)
            for name in ("_a", "_b", "_squares", "_weights"):
                sums = getattr(self, name)
                setattr(self, name, np.concatenate([sums, np.zeros((1, *sums.shape[1:]))]))
            self._settled_at = None
        return self._rows[arm]

    def _settle(self) -> None:
        """Solve for the coefficients, if the weight has grown by a tenth since."""
        stage = int(math.log(max(self.weight(), 1.0)) / _STEP)
        if stage == self._settled_at:
            return
        self._settled_at = stage
        self._settled += 1
        shared, own = self._precisions, _OWN * self._precisions
        inverse = np.linalg.inv(self._a + np.diag(own))  # (K, p, p)
        # What the arms say of the shared part, their own parts integrated out (see `HierPosterior`).
        root = np.diag(shared + len(inverse) * own) - own[:, None] * inverse.sum(axis=0) * own
        uncertainty = np.linalg.inv(root)
        common = uncertainty @ (own * np.einsum("kpq,kq->p", inverse, self._b))
        theta = np.einsum("kpq,kq->kp", inverse, self._b + own * common)
        fitted = np.einsum("kp,kpq,kq->k", theta, self._a, theta)
        residual = np.maximum(self._squares - 2.0 * (theta * self._b).sum(axis=1) + fitted, 0.0).sum()
        noise = (residual + _NOISE_VARIANCE * _NOISE_WEIGHT) / (max(self.weight(), 0.0) + _NOISE_WEIGHT)
        self._noise = float(noise)
        lent = inverse @ (own[:, None] * uncertainty * own) @ inverse
        unknown = uncertainty + np.diag(1.0 / own)
        self._theta = np.concatenate([theta, common[None]])
        self._covariance = noise * np.concatenate([inverse + lent, unknown[None]])
