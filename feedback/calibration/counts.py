"""The counts that calibration works from, as arrays: K arms, B bins of the score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from highwayman.env.types import Floats
from highwayman.feedback.fold.tallies.calibration_counts import BINS, CalibrationCell, CellCounts


@dataclass(frozen=True, slots=True, eq=False)
class CountTable:
    """Answers that one source scored, by arm and bin of the score, and the thumbs on them. Every array is (K, B)."""

    arms: tuple[str, ...]
    scored: Floats  # answers
    score: Floats  # sum of their scores
    ups: Floats
    downs: Floats

    @property
    def thumbs(self) -> float:
        """How many thumbs there are."""
        return float(self.ups.sum() + self.downs.sum())

    def without_scores(self) -> "CountTable":
        """Return the same answers in one bin for each arm."""
        return CountTable(self.arms, *(sums.sum(axis=1, keepdims=True) for sums in self._sums()))

    def _sums(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.scored, self.score, self.ups, self.downs

    @classmethod
    def from_counts(
        cls, rows: Iterable[tuple[CalibrationCell, CellCounts]], *, tenant: str, metric: str, kind: int | None = None
    ) -> "CountTable":
        """Return a tenant's counts of a metric, of one kind of query or (None) of all."""
        selected = [
            (cell, counts)
            for cell, counts in rows
            if cell.tenant == tenant and cell.metric == metric and (kind is None or cell.kind == kind)
        ]
        arms = tuple(sorted({cell.arm for cell, _ in selected}))
        sums = np.zeros((4, len(arms), BINS))
        for cell, counts in selected:
            sums[:, arms.index(cell.arm), cell.bin] += counts.scored, counts.score, counts.ups, counts.downs
        return cls(arms, *sums)

    @classmethod
    def from_answers(cls, arms: Sequence[str], answers: Sequence[tuple[int, float, bool | None]]) -> "CountTable":
        """Return the counts of answers, each an arm's index, a score in [0, 1] and a thumb, if there is one."""
        sums = np.zeros((4, len(arms), BINS))
        for arm, score, thumb in answers:
            place = min(int(score * BINS), BINS - 1)
            sums[:, arm, place] += 1.0, score, thumb is True, thumb is False
        return cls(tuple(arms), *sums)
