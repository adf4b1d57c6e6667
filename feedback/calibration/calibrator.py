"""What thumbs say about weaker sources, as of the last half minute: statements are corrected by it when they come."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from highwayman.env.metric import Metric
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.calibration.correction import Correction, correction
from highwayman.feedback.calibration.counts import Cells
from highwayman.feedback.calibration.response_rates import flip_rate
from highwayman.feedback.fold.calibration_counts import PAIRS, THUMBS, Overlap

_EVERY_S = 30.0
_ENOUGH_PAIRS = 100.0  # of thumbs on the same answer, before they tell how often thumbs are flipped


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is taken for known of thumbs, and how far they are weighed."""

    flip: float = 0.05  # the probability that a thumb is flipped, until enough answers have two
    clip: float = 5.0  # the largest inverse weight of a thumb; the smallest is its inverse
    uncorrected_weight: float = 0.25  # of a judge's score while there are no thumbs to correct it by


class Calibrator:
    """Corrections by tenant and metric."""

    def __init__(self, spec: RewardSpec, overlap: Callable[[], Overlap], wanted: Calibration) -> None:
        """Take the metrics, what is known of people and sources by now, and the calibration wanted."""
        self._spec = spec
        self._overlap = overlap
        self._wanted = wanted
        self._found: Mapping[tuple[str, str], Correction] = {}

    async def follow(self) -> None:
        """Keep up until cancelled."""
        while True:
            self._found = await asyncio.to_thread(self.computed)
            await asyncio.sleep(_EVERY_S)

    def computed(self) -> dict[tuple[str, str], Correction]:
        """Return the corrections by tenant and metric."""
        rows = list(self._overlap().cells())
        found = {}
        for tenant, metric in sorted({(cell.tenant, cell.metric) for cell, _ in rows}):
            if metric not in self._spec.metrics:
                continue
            kinds = {cell.kind for cell, _ in rows if (cell.tenant, cell.metric) == (tenant, metric)}
            made = correction(
                Cells.of(rows, tenant=tenant, metric=metric),
                {kind: Cells.of(rows, tenant=tenant, metric=metric, kind=kind) for kind in kinds},
                flip=flip_of(self._overlap(), tenant, otherwise=self._wanted.flip),
            )
            if made is not None:
                found[tenant, metric] = made
        return found

    def corrected(self, said: Feedback, metric: Metric, *, tenant: str, arm: str, kind: int) -> Feedback:
        """Return a score with the quality it stands for, and the weight it deserves.

        A weak one of which nothing is known comes back as it is, and counts nothing.
        """
        if said.value is None or not metric.calibrated:
            return said
        made = self._found.get((tenant, metric.name))
        score = float(np.clip(metric.quality(said.value), 0.0, 1.0))
        worth = made.worth(arm, score, kind=kind) if made is not None else None
        if worth is not None:
            return replace(said, quality=worth.quality, weight=said.weight * worth.weight)
        return said if metric.weak else replace(said, weight=said.weight * self._wanted.uncorrected_weight)

    def thumb_weight(self, said: Feedback, *, tenant: str) -> float:
        """Return the weight of a thumb by how rarely such answers get one, 1 where that is not known."""
        if said.metric != THUMBS or said.value is None:
            return 1.0
        told = [made for (whose, _), made in self._found.items() if whose == tenant and made.known.identified]
        if not told:
            return 1.0
        most = max(told, key=lambda made: made.thumbs)
        return most.thumb_weight(up=said.value > 0.5, clip=self._wanted.clip)


def flip_of(overlap: Overlap, tenant: str, *, otherwise: float) -> float:
    """Return how often a tenant's thumbs are flipped, as far as answers with several thumbs tell."""
    pairs = [counts for cell, counts in overlap.cells() if (cell.tenant, cell.metric) == (tenant, PAIRS)]
    count = sum(one.scored for one in pairs)
    if count < _ENOUGH_PAIRS:
        return otherwise
    return min(flip_rate(sum(one.score for one in pairs), count)[0], 0.45)
