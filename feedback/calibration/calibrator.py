"""What thumbs say about weaker sources, as of the last half minute: statements are corrected by it when they come."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.metric import Metric
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.calibration.correction import Correction, fit_correction
from highwayman.feedback.calibration.counts import CountTable
from highwayman.feedback.calibration.response_rates import flip_rate
from highwayman.feedback.fold.tallies.calibration_counts import NAMED, PAIRS, THUMBS, CalibrationCounts

_EVERY_S = 30.0
_ENOUGH_PAIRS = 100.0  # of thumbs on the same answer, before they tell how often thumbs are flipped


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """What is taken for known of thumbs, and how far they are weighed."""

    flip: float = 0.05  # the probability that a thumb is flipped, until enough answers have two
    clip: float = 5.0  # the largest inverse weight of a thumb; the smallest is its inverse
    uncorrected_weight: float = 0.25  # of a judge's score while there are no thumbs to correct it by


class Calibrator:
    """Corrections by tenant and metric."""

    def __init__(
        self, spec: RewardSpec, counts: Callable[[], CalibrationCounts], settings: CalibrationSettings
    ) -> None:
        """Take the metrics, what is known of people and sources by now, and the settings."""
        self._spec = spec
        self._counts = counts
        self._settings = settings
        self._found: Mapping[tuple[str, str], Correction] = {}

    async def run(self) -> None:
        """Keep up until cancelled."""
        while True:
            self._found = await asyncio.to_thread(self.compute)
            await asyncio.sleep(_EVERY_S)

    def compute(self) -> dict[tuple[str, str], Correction]:
        """Return the corrections by tenant and metric."""
        rows = [(cell, counts) for cell, counts in self._counts().cells() if cell.kind != NAMED]
        corrections = {}
        for tenant, metric in sorted({(cell.tenant, cell.metric) for cell, _ in rows}):
            if metric not in self._spec.metrics:
                continue
            kinds = {cell.kind for cell, _ in rows if (cell.tenant, cell.metric) == (tenant, metric)}
            correction = fit_correction(
                CountTable.from_counts(rows, tenant=tenant, metric=metric),
                {kind: CountTable.from_counts(rows, tenant=tenant, metric=metric, kind=kind) for kind in kinds},
                flip=tenant_flip_rate(self._counts(), tenant, otherwise=self._settings.flip),
            )
            if correction is not None:
                corrections[tenant, metric] = correction
        return corrections

    def correct(self, feedback: Feedback, metric: Metric, *, tenant: str, arm: str, kind: int) -> Feedback:
        """Return a score with the quality it stands for, and the weight it deserves.

        A weak one of which nothing is known comes back as it is, and counts nothing.
        """
        if feedback.value is None or not metric.needs_calibration:
            return feedback
        correction = self._found.get((tenant, metric.name))
        score = float(np.clip(metric.quality(feedback.value), 0.0, 1.0))
        calibrated = correction.calibrate(arm, score, kind=kind) if correction is not None else None
        if calibrated is not None:
            return replace(feedback, quality=calibrated.quality, weight=feedback.weight * calibrated.weight)
        return (
            feedback if metric.weak else replace(feedback, weight=feedback.weight * self._settings.uncorrected_weight)
        )

    def thumb_weight(self, feedback: Feedback, *, tenant: str) -> float:
        """Return the weight of a thumb by how rarely such answers get one, 1 where that is not known."""
        if feedback.metric != THUMBS or feedback.value is None:
            return 1.0
        corrections = [
            correction
            for (owner, _), correction in self._found.items()
            if owner == tenant and correction.rates.identified
        ]
        if not corrections:
            return 1.0
        best_known = max(corrections, key=lambda correction: correction.thumbs)
        return best_known.thumb_weight(up=feedback.value > 0.5, clip=self._settings.clip)


def tenant_flip_rate(calibration_counts: CalibrationCounts, tenant: str, *, otherwise: float) -> float:
    """Return how often a tenant's thumbs are flipped, as far as answers with several thumbs tell."""
    pairs = [counts for cell, counts in calibration_counts.cells() if (cell.tenant, cell.metric) == (tenant, PAIRS)]
    count = sum(counts.scored for counts in pairs)
    if count < _ENOUGH_PAIRS:
        return otherwise
    return min(flip_rate(sum(counts.score for counts in pairs), count)[0], 0.45)
