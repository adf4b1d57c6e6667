"""What one statement is worth, given the thumbs and a weaker source's scores on the same answers so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.ppi import QualityEstimates, pooled_quality, ppi_estimates
from highwayman.feedback.calibration.response_rates import ResponseRates, estimate_response_rates

_BIAS_SPREAD = 0.1  # deviation of arms' and kinds' biases that is expected before anything is known
_LEAST_THUMBS = 20.0  # on scored answers, before a source that is worth nothing by itself is worth something


@dataclass(frozen=True, slots=True)
class CalibratedScore:
    """A quality in [0, 1], and a weight: 1 is that of one thumb."""

    quality: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """Corrects a source's scores: for what a score means, for the arm's bias, and for the kind of query's."""

    arms: tuple[str, ...]
    meaning: Floats  # (B,) the quality of answers with such a score, all arms together
    bias: Floats  # (K,) what is to be added for an arm
    by_kind: Mapping[tuple[str, int], float]  # and for an arm's answers to a kind of query, beside it
    weight: Floats  # (K,) of one score
    estimates: QualityEstimates
    rates: ResponseRates
    thumbs: float
    _place: Mapping[str, int] = field(default_factory=dict)

    def calibrate(self, arm: str, score: float, *, kind: int) -> CalibratedScore | None:
        """Return what a score in [0, 1] of an arm's answer says; None where nobody knows."""
        place = self._place.get(arm)
        if place is None or not self.weight[place]:
            return None
        b = min(int(score * len(self.meaning)), len(self.meaning) - 1)
        quality = self.meaning[b] + self.bias[place] + self.by_kind.get((arm, kind), 0.0)
        return CalibratedScore(float(np.clip(quality, 0.0, 1.0)), float(self.weight[place]))

    def thumb_weight(self, *, up: bool, clip: float) -> float:
        """Return the weight of a thumb by the inverse of how often such answers get one; 1 on average.

        Args:
            up: which thumb.
            clip: the largest weight, and the inverse of the smallest.
        """
        if not self.rates.identified:
            return 1.0
        inverse = np.array([1.0 / self.rates.bad, 1.0 / self.rates.good])
        share = self._share_up
        mean = inverse[1] * share + inverse[0] * (1 - share)
        return float(np.clip(inverse[int(up)] / mean, 1.0 / clip, clip))

    @property
    def _share_up(self) -> float:
        good = float(np.mean(self.estimates.value)) if len(self.estimates.value) else 0.5
        ups = min(max(good, 0.0), 1.0) * self.rates.good
        downs = (1 - min(max(good, 0.0), 1.0)) * self.rates.bad
        return ups / max(ups + downs, 1e-12)


def fit_correction(whole: CountTable, kinds: Mapping[int, CountTable], *, flip: float) -> Correction | None:
    """Return what thumbs say about a source's scores, None where there are too few of them.

    An arm's bias is what the arm's calibrated mean lies above the mean of what its scores mean, drawn towards 0 by what
    is not known of it; that of a kind of query likewise, drawn towards the arm's. All of an arm's scores together weigh
    as much as the precision of its calibrated mean deserves, in thumbs: a thousand scores that rest on ten thumbs are
    worth ten thumbs or so.

    Args:
        whole: the counts of all kinds of query.
        kinds: the counts of each kind.
        flip: the probability that a thumb is flipped.
    """
    if whole.thumbs < _LEAST_THUMBS:
        return None
    rates = estimate_response_rates(whole, flip=flip)
    estimates, meaning = ppi_estimates(whole, rates), pooled_quality(whole, rates)
    answers = np.maximum(whole.scored.sum(axis=1), 1e-12)
    score_means = (whole.scored * meaning).sum(axis=1) / answers
    bias = _drawn(estimates.value - score_means, estimates.stderr)
    variance = np.clip(estimates.value * (1 - estimates.value), 0.01, 0.25)
    weight = np.minimum(variance / np.maximum(estimates.stderr, 1e-6) ** 2 / answers, 1.0)
    weight[whole.ups.sum(axis=1) + whole.downs.sum(axis=1) < 1] = 0.0
    place = {arm: k for k, arm in enumerate(whole.arms)}
    by_kind = _by_kind(kinds, rates, meaning, {arm: float(bias[k]) for arm, k in place.items()})
    return Correction(whole.arms, meaning, bias, by_kind, weight, estimates, rates, whole.thumbs, place)


def _drawn(raw: Floats, stderr: Floats) -> Floats:
    """Return biases drawn towards 0 by how little is known of them."""
    shrunk: Floats = raw * _BIAS_SPREAD**2 / (_BIAS_SPREAD**2 + stderr**2)
    return shrunk


def _by_kind(
    kinds: Mapping[int, CountTable], rates: ResponseRates, meaning: Floats, bias: Mapping[str, float]
) -> dict[tuple[str, int], float]:
    """Return what is to be added to an arm's bias for a kind of query."""
    bare = ResponseRates(rates.good, rates.bad, rates.flip, rates.identified, np.zeros(2))
    shifts: dict[tuple[str, int], float] = {}
    for kind, cells in kinds.items():
        if cells.thumbs < 1:
            continue
        estimates = ppi_estimates(cells, bare)
        answers = np.maximum(cells.scored.sum(axis=1), 1e-12)
        score_means = (cells.scored * meaning).sum(axis=1) / answers
        raw = estimates.value - score_means - np.array([bias.get(arm, 0.0) for arm in cells.arms])
        # An interval from a handful of thumbs knows too little of its own width: it is never taken for narrow.
        thumbs = cells.ups.sum(axis=1) + cells.downs.sum(axis=1)
        stderr = np.maximum(estimates.stderr, 0.5 / np.sqrt(np.maximum(thumbs, 1e-3)))
        shifts |= {(arm, kind): float(shift) for arm, shift in zip(cells.arms, _drawn(raw, stderr), strict=True)}
    return shifts
