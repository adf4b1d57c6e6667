"""What thumbs say a statement is worth, settled as it is accepted."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from highwayman.env.encoder.features.clusters import cluster_of
from highwayman.env.metric import Metric
from highwayman.env.types import Feedback
from highwayman.feedback.calibration.calibrator import Calibrator
from highwayman.feedback.log.record import Record


@dataclass(frozen=True, slots=True)
class StatementCalibration:
    """Corrects statements by the arm that answered and the kind of its query."""

    calibrator: Calibrator
    records: Callable[[Sequence[str]], Awaitable[Mapping[str, Record]]]  # of those decisions that are known

    async def apply(self, statements: Sequence[Feedback], metric: Metric, tenant: str) -> list[Feedback]:
        """Return statements, the same about one decision each, with the quality they stand for.

        That is where thumbs have something to say about it; a thumb itself is weighed by how rare it is.

        Raises:
            StoreUnavailable: the decisions cannot be looked up.
        """
        weight = self.calibrator.thumb_weight(statements[0], tenant=tenant)
        if weight != 1.0:
            return [replace(statement, weight=statement.weight * weight) for statement in statements]
        if not metric.needs_calibration or statements[0].value is None:
            return list(statements)
        records = await self.records([statement.decision_id for statement in statements])
        return [
            self._corrected(statement, metric, records.get(statement.decision_id), tenant) for statement in statements
        ]

    def _corrected(self, statement: Feedback, metric: Metric, record: Record | None, tenant: str) -> Feedback:
        decision = record.decision if record is not None else None
        if record is None or decision is None:
            return self.calibrator.correct(statement, metric, tenant=tenant, arm="", kind=0)
        kind = cluster_of(decision.context)
        return self.calibrator.correct(statement, metric, tenant=tenant, arm=record.served_arm(), kind=kind)
