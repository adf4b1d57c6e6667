"""How much a call takes beyond or below a guess, by prompt and arm: regressions of logarithms, as sums over calls."""

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from highwayman.env.types import Floats

_OWN = 3.0  # precision of an arm's own part of each feature, in units of the noise's: so many calls
_SHARED = 0.3  # of what arms have in common
_INTERCEPT = 1.0  # of both their constants: a guess is worth one call
_NOISE_CALLS = 5.0  # that count as if there had been no noise: the mean of a few calls is not stretched
_FURTHEST = 3.0  # of log amount from the arm's mean that a prompt is believed to lie
_LEAST_RATIO = 1e-3  # to a guess; nothing has no logarithm
_STEP = math.log(1.1)  # coefficients are solved for again whenever the calls have grown by a tenth


class AmountPosterior:
    """Regressions of log(amount / guess) on a query's features, for several amounts of a call and each of K arms.

    The same hierarchy as the quality's (`HierPosterior`, after Hong et al., AISTATS 2022, arXiv 2111.06929), with fixed
    precisions: a prompt that asks for much gets much of every arm, so what arms have in common is learned from all.
    Coefficients have their prior at 0, the guess. Amounts are taken for lognormal around the regression's mean, so
    exp(mean + variance / 2) of each arm's own residual variance is expected; routing breaks that where answers end at a
    limit, and where the arm was chosen for what it was expected to take.

    What is kept are sums, from which a call can be taken away again, whenever it came.
    """

    def __init__(self, amounts: int, d: int = 0) -> None:
        """Start with no call, for so many amounts, each with a regression; d = 0: as many features as come first."""
        self._amounts = amounts
        self._begin(d)

    def _begin(self, d: int) -> None:
        self._d, amounts = d, self._amounts
        self._rows: dict[str, int] = {}
        # (K, d + m, d + m) sum z z^T of calls z = (x, y): one product a call has all three sums below.
        self._products: Floats = np.zeros((0, d + amounts, d + amounts))
        self._call: Floats = np.empty(d + amounts)  # room for one
        self._product: Floats = np.empty((d + amounts, d + amounts))
        self._calls: Floats = np.zeros(0)
        self._total = 0.0  # calls, of all arms
        self._settled_at, self._is_settled = -1, False
        self._theta: Floats = np.zeros((1, amounts, d))  # (K + 1, m, d); the last are the shared ones
        self._half_variance: Floats = np.zeros((1, amounts))
        self._centre: Floats = np.zeros((1, amounts))  # mean log amount of each arm
        # The arms asked for last, and theirs, amount by amount: of the features (m, K, d), centre and level (m, K).
        self._selected: tuple[tuple[str, ...], Floats, Floats, Floats] | None = None

    @property
    def _a(self) -> Floats:
        """(K, d, d) sum x x^T, a view."""
        return self._products[:, : self._d, : self._d]

    @property
    def _b(self) -> Floats:
        """(K, m, d) sum y x, a view."""
        return self._products[:, self._d :, : self._d]

    @property
    def _squares(self) -> Floats:
        """(K, m) sum y^2, a view."""
        return np.diagonal(self._products[:, self._d :, self._d :], axis1=1, axis2=2)

    def calls(self, arms: Sequence[str]) -> list[int]:
        """Return of how many calls of each arm there is anything known."""
        calls, rows = self._calls.tolist(), self._rows
        return [round(calls[rows[arm]]) if arm in rows else 0 for arm in arms]

    def learn(self, arm: str, features: Floats, ratios: Sequence[float], *, sign: int = 1) -> None:
        """Add a call: its amounts (m,), each over its guess, NaN where unknown; with `sign` -1 take it away.

        Features of another length than the first ones are not counted.
        """
        if not self._d:
            self._begin(len(features))
        if features.shape != (self._d,):
            return
        row = self._rows[arm] if arm in self._rows else self._new_row(arm)
        call, product, products = self._call, self._product, self._products[row]
        call[: self._d] = features
        for place, ratio in enumerate(ratios, start=self._d):
            call[place] = math.log(ratio) if ratio > _LEAST_RATIO else _least_log(ratio)
        call[:, None].dot(call[None, :], out=product)
        if sign > 0:
            products += product
        else:
            products -= product
        self._calls[row] += sign
        self._total += sign
        self._is_settled = False
        if sign < 0:
            self._settled_at = -1

    def expected_ratios(self, features: Floats, arms: Sequence[str]) -> Floats:
        """Return what calls are expected to take, over the guesses: (K, m), in the order of `arms`.

        An arm without calls is expected to take what the others have in common. 1 before any call, and for features of
        another length.
        """
        return self.first_ratios(features, arms, self._amounts).T

    def first_ratios(self, features: Floats, arms: Sequence[str], amounts: int) -> Floats:
        """Return what `expected_ratios` does of so many amounts, the first ones, (amounts, K)."""
        if not self._d or features.shape[-1] != self._d:
            return np.ones((amounts, len(arms)))
        if not self._is_settled:
            self._settle()
        if self._selected is None or self._selected[0] != arms:
            self._selected = self._select(arms)
        _, theta, centre, level = self._selected
        offsets = theta[:amounts].dot(features)  # row by row: the bits do not hang on how many arms are asked about
        offsets -= centre[:amounts]
        np.minimum(offsets, _FURTHEST, out=offsets)
        np.maximum(offsets, -_FURTHEST, out=offsets)
        offsets += level[:amounts]
        ratios: Floats = np.exp(offsets, out=offsets)
        return ratios

    def _select(self, arms: Sequence[str]) -> tuple[tuple[str, ...], Floats, Floats, Floats]:
        rows = [self._rows.get(arm, -1) for arm in arms]
        theta, centre = self._theta[rows].swapaxes(0, 1), self._centre[rows].T
        return tuple(arms), np.ascontiguousarray(theta), centre, centre + self._half_variance[rows].T

    def to_json(self) -> dict[str, Any]:
        """Return the sums as plain numbers; empty before the first call."""
        if not self._rows:
            return {}
        upper = np.triu_indices(self._d)
        sums = np.concatenate([self._a[:, *upper], self._b.reshape(len(self._rows), -1), self._squares], axis=1)
        return {"d": self._d, "arms": list(self._rows), "calls": self._calls.tolist(), "sums": _packed(sums)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], *, amounts: int) -> Self:
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError if it is damaged."""
        if not state:
            return cls(amounts)
        d, arms = int(state["d"]), [str(arm) for arm in state["arms"]]
        posterior, upper = cls(amounts, d), np.triu_indices(d)
        width = len(upper[0])
        sums = _unpacked(state["sums"]).reshape(len(arms), width + amounts * d + amounts)
        posterior._rows = {arm: row for row, arm in enumerate(arms)}
        posterior._products = np.zeros((len(arms), d + amounts, d + amounts))
        posterior._a[:, *upper] = posterior._a[:, upper[1], upper[0]] = sums[:, :width]
        posterior._b[:] = sums[:, width : width + amounts * d].reshape(len(arms), amounts, d)
        places = np.arange(d, d + amounts)
        posterior._products[:, places, places] = sums[:, width + amounts * d :]
        posterior._calls = np.array(state["calls"], dtype=np.float64).reshape(len(arms))
        posterior._total = float(posterior._calls.sum())
        if len(posterior._rows) != len(arms) or not all(map(_is_finite, (sums, posterior._calls))):
            raise ValueError("an arm stands twice, or a number is not finite")
        return posterior

    def distance(self, other: Self) -> float:
        """Return the largest absolute difference between the sums of two; an arm without calls has none."""
        names = self._rows.keys() | other._rows.keys()
        pairs = [(self._sums_of(name), other._sums_of(name)) for name in names]
        return max((float(np.abs(left - right).max(initial=0.0)) for left, right in pairs), default=0.0)

    def _sums_of(self, arm: str) -> Floats:
        row = self._rows.get(arm)
        if row is None:
            return np.zeros(1)
        return np.concatenate([part[row].ravel() for part in (self._a, self._b, self._squares, self._calls[:, None])])

    def _new_row(self, arm: str) -> int:
        self._rows[arm] = row = len(self._rows)
        for name in ("_products", "_calls"):
            sums = getattr(self, name)
            setattr(self, name, np.concatenate([sums, np.zeros((1, *sums.shape[1:]))]))
        self._settled_at = -1
        return row

    def _settle(self) -> None:
        """Solve for the coefficients, if the calls have grown by a tenth since."""
        stage, self._is_settled = int(math.log(max(self._total, 1.0)) / _STEP), True
        if stage == self._settled_at:
            return
        self._settled_at, self._selected = stage, None
        own, shared = (np.full(self._d, precision) for precision in (_OWN, _SHARED))
        own[-1] = shared[-1] = _INTERCEPT
        inverse = np.linalg.inv(self._a + np.diag(own))  # (K, d, d)
        # What the arms say of the shared part, their own parts integrated out (see `HierPosterior`).
        lent = own * (self._b @ inverse)  # (K, m, d)
        root = np.diag(shared + len(inverse) * own) - own[:, None] * inverse.sum(axis=0) * own
        common = np.linalg.solve(root, lent.sum(axis=0).T).T  # (m, d)
        theta = (self._b + own * common) @ inverse
        fitted = np.einsum("kmi,kij,kmj->km", theta, self._a, theta)
        residual = np.maximum(self._squares - 2.0 * (theta * self._b).sum(axis=2) + fitted, 0.0)
        variance = residual / (self._calls + _NOISE_CALLS)[:, None]
        pooled = residual.sum(axis=0) / (self._calls.sum() + _NOISE_CALLS)
        centre = (self._b[:, :, -1] + common[:, -1]) / (self._calls + 1.0)[:, None]
        self._theta = np.concatenate([theta, common[None]])
        self._half_variance = 0.5 * np.concatenate([variance, pooled[None]])
        self._centre = np.concatenate([centre, common[None, :, -1]])


def _least_log(ratio: float) -> float:
    """Return what counts for the logarithm of next to nothing, or of what is not known (NaN)."""
    return 0.0 if math.isnan(ratio) else math.log(_LEAST_RATIO)


def _packed(numbers: Floats) -> str:
    return base64.b64encode(numbers.astype("<f8").tobytes()).decode()


def _unpacked(text: str) -> Floats:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64)


def _is_finite(numbers: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(numbers).all())
