"""Where people and a weaker source speak of the same answers: the counts that calibration works from."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from highwayman.env.encoder.clusters import kind_of
from highwayman.env.errors import SnapshotError
from highwayman.env.reward import Part, RewardSpec, Standing
from highwayman.env.types import Decision
from highwayman.feedback.fold.join import Credit

BINS = 10
THUMBS = "thumbs"  # the metric that stands for what people think
PAIRS = "#pairs"  # instead of a metric: pairs of thumbs on one answer, and as their score those that disagree
_HEARD = (Standing.COUNTS, Standing.UNCALIBRATED)


@dataclass(frozen=True, slots=True)
class Cell:
    """A tenant's answers by an arm to a kind of query, that a metric scored in a tenth of its range."""

    tenant: str
    arm: str
    kind: int
    metric: str
    bin: int


@dataclass(slots=True)
class Counts:
    """Sums over the answers of a cell."""

    scored: float = 0.0
    score: float = 0.0  # sum of the scores, each in [0, 1]
    ups: float = 0.0
    downs: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self.scored


class Overlap:
    """The counts of every cell, as a fold over the log: exact under flips and retractions."""

    def __init__(self) -> None:
        self._cells: dict[Cell, Counts] = {}

    def cells(self) -> Iterator[tuple[Cell, Counts]]:
        """Yield the cells in which there is something."""
        yield from self._cells.items()

    def changed(self, before: Credit | None, after: Credit | None, spec: RewardSpec, decision: Decision) -> None:
        """Follow what one event changed of what is said of a decision's answer."""
        if not ((before and before.parts) or (after and after.parts)):
            return
        whose = decision.tenant, kind_of(decision.context)
        for credit, sign in ((before, -1.0), (after, 1.0)):
            if credit is not None and credit.parts:
                self._count(credit, spec, whose, sign)

    def _count(self, credit: Credit, spec: RewardSpec, whose: tuple[str, int], sign: float) -> None:
        tenant, kind = whose
        thumb, scores = _thumb(credit.parts), _scores(credit.parts, spec)
        up, down = sign * (thumb is True), sign * (thumb is False)
        for metric, score in scores.items():
            here = Cell(tenant, credit.arm, kind, metric, min(int(score * BINS), BINS - 1))
            self._add(here, Counts(sign, sign * score, up, down))
        pairs, disagreeing = _pairs(credit.parts)
        if pairs:
            self._add(Cell(tenant, credit.arm, kind, PAIRS, 0), Counts(sign * pairs, sign * disagreeing))

    def _add(self, cell: Cell, more: Counts) -> None:
        counts = self._cells.setdefault(cell, Counts())
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
    def from_json(cls, rows: Any) -> "Overlap":
        """Return what `to_json` wrote. Raises SnapshotError."""
        found = cls()
        try:
            for tenant, arm, kind, metric, place, *sums in rows:
                cell = Cell(str(tenant), str(arm), int(kind), str(metric), int(place))
                found._cells[cell] = Counts(*map(float, sums))
        except (TypeError, ValueError) as error:
            raise SnapshotError(f"the overlap is damaged: {type(error).__name__}") from error
        return found


def _thumb(parts: tuple[Part, ...]) -> bool | None:
    """Return whether people think the answer good; None where nobody said, or they are divided."""
    said = [part.quality for part in parts if part.said.metric == THUMBS and part.standing is Standing.COUNTS]
    mean = sum(said) / len(said) if said else 0.5
    return None if mean == 0.5 else mean > 0.5


def _pairs(parts: tuple[Part, ...]) -> tuple[float, float]:
    """Return how many pairs of thumbs there are on the answer, and how many of them disagree."""
    said = [part.quality > 0.5 for part in parts if part.said.metric == THUMBS and part.standing is Standing.COUNTS]
    return len(said) * (len(said) - 1) / 2, float(sum(said) * (len(said) - sum(said)))


def _scores(parts: tuple[Part, ...], spec: RewardSpec) -> Mapping[str, float]:
    """Return the uncorrected quality by each metric that a calibration corrects."""
    said: dict[str, list[float]] = {}
    for part in parts:
        metric = spec.metrics.get(part.said.metric)
        if metric is None or not metric.calibrated or part.standing not in _HEARD or part.said.value is None:
            continue
        said.setdefault(metric.name, []).append(metric.quality(part.said.value))
    return {name: min(max(sum(values) / len(values), 0.0), 1.0) for name, values in said.items()}
