"""What estimates of a probability are worth: an isotonic map, from sums that can be taken away again."""

import math
from typing import Any, Self

import numpy as np

from highwayman.env.types import Floats

_BINS = 20
_STEP = math.log(1.05)  # the map is fitted again whenever the weight has grown by a twentieth
_PRIOR_WEIGHT = 10.0  # answers in every bin that came out as estimated


class IsotonicCalibration:
    """Maps an estimate in [0, 1] to what answers with such estimates were worth on average, never falling.

    Isotonic regression (Zadrozny & Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability
    Estimates", KDD 2002) over bins of the estimate instead of single answers: their sums are all that is kept, so an
    answer whose feedback is taken back can be taken out. Every bin begins as if it were right already. Routing breaks
    that estimates are made by one model: those of before it had learned stand among them.
    """

    def __init__(self) -> None:
        """Start with the identity."""
        self._sums: Floats = np.zeros((3, _BINS))  # of w, w * estimate, w * reward
        self._fitted_at: int | None = None
        self._knots: tuple[Floats, Floats] = (np.empty(0), np.empty(0))

    def learn(self, estimate: float, *, weight: float, weighted: float) -> None:
        """Add what changes of the sums of w and w*r of answers with such an estimate: negative numbers take away."""
        place = min(int(estimate * _BINS), _BINS - 1)
        self._sums[:, place] += weight, weight * estimate, weighted
        if weight <= 0:
            self._fitted_at = None

    def scale(self, factor: float) -> None:
        """Multiply the sums by a factor."""
        self._sums *= factor
        self._fitted_at = None

    def __call__(self, estimates: Floats) -> Floats:
        """Return the calibrated estimates, of the same shape, each in [0, 1]."""
        stage = int(math.log(max(float(self._sums[0].sum()), 1.0)) / _STEP)
        if stage != self._fitted_at:
            self._fitted_at, self._knots = stage, self._fitted()
        calibrated: Floats = np.interp(estimates, *self._knots)
        return calibrated

    def to_json(self) -> list[list[float]]:
        """Return the sums."""
        sums: list[list[float]] = self._sums.tolist()
        return sums

    @classmethod
    def from_json(cls, state: Any) -> Self:
        """Return what `to_json` wrote. Raises TypeError or ValueError if it is damaged."""
        calibration = cls()
        calibration._sums = np.array(state, dtype=np.float64).reshape(3, _BINS)
        if not np.isfinite(calibration._sums).all():
            raise ValueError("a sum is not finite")
        return calibration

    def distance(self, other: Self) -> float:
        """Return the largest absolute difference between the sums of two."""
        return float(np.abs(self._sums - other._sums).max())

    def _fitted(self) -> tuple[Floats, Floats]:
        """Return where bins have their means, and what they are worth: both rise."""
        middles = (np.arange(_BINS) + 0.5) / _BINS
        weights = np.maximum(self._sums[0], 0.0) + _PRIOR_WEIGHT
        means = (self._sums[1] + _PRIOR_WEIGHT * middles) / weights
        worth = (self._sums[2] + _PRIOR_WEIGHT * middles) / weights
        blocks: list[tuple[float, float, int]] = []  # weight, mean worth, bins
        for weight, value in zip(weights.tolist(), worth.tolist(), strict=True):
            block = (weight, value, 1)
            while blocks and blocks[-1][1] >= block[1]:  # pool adjacent violators
                before = blocks.pop()
                total = before[0] + block[0]
                block = total, (before[0] * before[1] + block[0] * block[1]) / total, before[2] + block[2]
            blocks.append(block)
        fitted = np.repeat([value for _, value, _ in blocks], [bins for _, _, bins in blocks])
        return np.maximum.accumulate(means), np.clip(fitted, 0.0, 1.0)


def expected_calibration_error(estimates: Floats, outcomes: Floats, *, bins: int = 10) -> float:
    """Return the mean distance between estimates (n,) and outcomes (n,) over bins of the estimate, by their sizes.

    Naeini, Cooper & Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015; with bins
    of equal width.
    """
    places = np.minimum((estimates * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(places, weights=estimates - outcomes, minlength=bins)
    return float(np.abs(gaps).sum() / len(estimates))
