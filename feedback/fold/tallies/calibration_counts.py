"""Where people and a weaker source rate the same answers: the counts that calibration works from."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from highwayman.env.encoder.features.clusters import cluster_of
from highwayman.env.errors import SnapshotError
from highwayman.env.reward import FeedbackStatus, RewardContribution, RewardSpec
from highwayman.env.types import NAMED_MODES, Decision
from highwayman.feedback.fold.join import AttributedReward

BINS = 10
THUMBS = "thumbs"  # the metric that stands for what people think
PAIRS = "#pairs"  # instead of a metric: pairs of thumbs on one answer, and as their score those that disagree
NAMED = -1  # the kind of all answers whose arm somebody named: reported, and nothing is corrected by them
_HEARD = (FeedbackStatus.COUNTS, FeedbackStatus.UNCALIBRATED)


@dataclass(frozen=True, slots=True)
class CalibrationCell:
    """A tenant's answers by an arm to a kind of query, that a metric scored in a tenth of its range."""

    tenant: str
    arm: str
    kind: int
    metric: str
    bin: int


@dataclass(slots=True)
class CellCounts:
    """Sums over the answers of a cell."""

    scored: float = 0.0
    score: float = 0.0  # sum of the scores, each in [0, 1]
    ups: float = 0.0
    downs: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self.scored


class CalibrationCounts:
    """The counts of every cell, as a fold over the log: exact under flips and retractions."""

    def __init__(self) -> None:
        self._cells: dict[CalibrationCell, CellCounts] = {}

    def cells(self) -> Iterator[tuple[CalibrationCell, CellCounts]]:
        """Yield the cells in which there is something."""
        yield from self._cells.items()

    def update(
        self, before: AttributedReward | None, after: AttributedReward | None, spec: RewardSpec, decision: Decision
    ) -> None:
        """Follow what one event changed of the feedback on a decision's answer."""
        if not ((before and before.contributions) or (after and after.contributions)):
            return
        kind = NAMED if decision.mode in NAMED_MODES else cluster_of(decision.context)
        tenant_and_kind = decision.tenant, kind
        for credit, sign in ((before, -1.0), (after, 1.0)):
            if credit is not None and credit.contributions:
                self._count(credit, spec, tenant_and_kind, sign)

    def _count(self, credit: AttributedReward, spec: RewardSpec, tenant_and_kind: tuple[str, int], sign: float) -> None:
        tenant, kind = tenant_and_kind
        thumb, scores = _thumb(credit.contributions), _scores(credit.contributions, spec)
        up, down = sign * (thumb is True), sign * (thumb is False)
        for metric, score in scores.items():
            cell = CalibrationCell(tenant, credit.arm, kind, metric, min(int(score * BINS), BINS - 1))
            self._add(cell, CellCounts(sign, sign * score, up, down))
        pairs, disagreeing = _pairs(credit.contributions)
        if pairs:
            self._add(CalibrationCell(tenant, credit.arm, kind, PAIRS, 0), CellCounts(sign * pairs, sign * disagreeing))

    def _add(self, cell: CalibrationCell, more: CellCounts) -> None:
        counts = self._cells.setdefault(cell, CellCounts())
        counts.scored += more.scored
        counts.score += more.score
        counts.ups += more.ups
        counts.downs += more.downs
        if counts.empty:
            del self._cells[cell]

    def to_json(self) -> list[list[Any]]:
        """Return the cells as rows: what says which, then the sums."""
        return sorted([*astuple(cell), *astuple(counts)] for cell, counts in self._cells.items())

    @classmethod
    def from_json(cls, rows: Any) -> "CalibrationCounts":
        """Return what `to_json` wrote. Raises SnapshotError."""
        calibration_counts = cls()
        try:
            for tenant, arm, kind, metric, place, *sums in rows:
                cell = CalibrationCell(str(tenant), str(arm), int(kind), str(metric), int(place))
                calibration_counts._cells[cell] = CellCounts(*map(float, sums))
        except (TypeError, ValueError) as error:
            raise SnapshotError(f"the overlap is damaged: {type(error).__name__}") from error
        return calibration_counts


def _thumb(parts: tuple[RewardContribution, ...]) -> bool | None:
    """Return whether people think the answer good; None without thumbs, or where they are divided."""
    qualities = [
        part.quality for part in parts if part.feedback.metric == THUMBS and part.status is FeedbackStatus.COUNTS
    ]
    mean = sum(qualities) / len(qualities) if qualities else 0.5
    return None if mean == 0.5 else mean > 0.5


def _pairs(parts: tuple[RewardContribution, ...]) -> tuple[float, float]:
    """Return how many pairs of thumbs there are on the answer, and how many of them disagree."""
    thumbs = [
        part.quality > 0.5 for part in parts if part.feedback.metric == THUMBS and part.status is FeedbackStatus.COUNTS
    ]
    return len(thumbs) * (len(thumbs) - 1) / 2, float(sum(thumbs) * (len(thumbs) - sum(thumbs)))


def _scores(parts: tuple[RewardContribution, ...], spec: RewardSpec) -> Mapping[str, float]:
    """Return the uncorrected quality by each metric that a calibration corrects."""
    qualities: dict[str, list[float]] = {}
    for part in parts:
        metric = spec.metrics.get(part.feedback.metric)
        if metric is None or not metric.needs_calibration or part.status not in _HEARD or part.feedback.value is None:
            continue
        qualities.setdefault(metric.name, []).append(metric.quality(part.feedback.value))
    return {name: min(max(sum(values) / len(values), 0.0), 1.0) for name, values in qualities.items()}
