"""What is said of answers: addressed to its decisions, weighed, corrected, and put on the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from highwayman.env.errors import InvalidFeedback, StoreUnavailable
from highwayman.env.metric import Metric
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.intake.feedback_ids import public_id
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.pending import PendingFeedback, PendingItem, split_weight
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.intake.retraction import FiledStatements
from highwayman.feedback.intake.statement_calibration import StatementCalibration
from highwayman.feedback.intake.statements import StatementBuilder
from highwayman.feedback.intake.submission import FeedbackSubmission
from highwayman.feedback.intake.targets import ResolvedTarget, TargetResolver
from highwayman.feedback.log.journal import Journal
from highwayman.feedback.trust.principal import Principal


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """What became of a statement."""

    id: str  # under which it can be taken back
    decision_ids: tuple[str, ...]  # none while it is held
    value: float | None
    state: str  # logged, spooled or held


@dataclass(frozen=True, slots=True)
class FeedbackService:
    """Takes statements in, each once."""

    spec: RewardSpec
    targets: TargetResolver
    statements: StatementBuilder
    influence_weights: InfluenceWeights
    calibration: StatementCalibration
    filed: FiledStatements
    journal: Journal
    pending: PendingFeedback
    clock: Callable[[], float]  # seconds since the epoch
    on_feedback: Callable[[Feedback], None] = lambda statement: None  # called with each statement that was filed
    pending_spool: PendingSpool | None = None  # takes what cannot be looked up now; None: that is refused

    async def submit(self, submission: FeedbackSubmission, principal: Principal) -> FeedbackReceipt:
        """File a statement.

        Raises:
            InvalidFeedback: the metric is unknown, or does not take this value, or from this source.
            UnknownDecision: the decision is not this tenant's, or takes no more feedback.
            StoreUnavailable: neither the log nor the spool takes it, or what it speaks of cannot be looked up.
        """
        metric = self.spec.metric(submission.metric)
        if metric.senders and submission.source not in metric.senders:
            raise InvalidFeedback(f"metric {metric.name!r} is said by {', '.join(sorted(metric.senders))} only")
        target, hold = await self._resolved(submission, metric, principal.tenant)
        statement = await self.statements.build(submission, metric, principal, direct=target.direct)
        about = target.decision_ids or target.names
        statement = self.influence_weights.apply(statement, metric, principal, about)
        if not target.decision_ids:
            await hold(PendingItem(statement, target.names))
            return FeedbackReceipt(public_id(statement), (), statement.value, "held")
        shares = split_weight(statement, target.decision_ids)
        corrected = await self.calibration.apply(shares, metric, principal.tenant)
        state = await self._put(corrected)
        self.on_feedback(statement)
        return FeedbackReceipt(public_id(corrected[0]), target.decision_ids, statement.value, state)

    async def retract(self, feedback_id: str, principal: Principal, *, source: str | None = None) -> FeedbackReceipt:
        """Take back what was filed under `feedback_id`: an id of ours, or with `source` the sender's own.

        Raises:
            UnknownDecision: nothing of this tenant's was filed under it.
            StoreUnavailable: Redis does not answer.
        """
        filed = await self.filed.find(feedback_id, principal.tenant, source=source)
        state = await self._put(filed.retractions(at=self.clock()))
        return FeedbackReceipt(filed.public_id, tuple(filed.standing), None, state)

    async def _resolved(
        self, submission: FeedbackSubmission, metric: Metric, tenant: str
    ) -> tuple[ResolvedTarget, Callable[[PendingItem], Awaitable[None]]]:
        """Return the answers meant, or their names, and what holds the statement until they are found.

        Raises:
            InvalidFeedback, UnknownDecision: as `submit` does.
            StoreUnavailable: nothing can be looked up, and nothing holds what must be.
        """
        try:
            return await self.targets.resolve(submission.target, metric, tenant), self.pending.add
        except StoreUnavailable:
            names = self.targets.names(submission.target, tenant)
            if self.pending_spool is None or not names:
                raise
            return ResolvedTarget(names=names), self.pending_spool.add

    async def _put(self, statements: Sequence[Feedback]) -> str:
        """Put statements on the log; return what became of them."""
        if len(statements) == 1:
            return "spooled" if await self.journal.put(statements[0]) is None else "logged"
        event_ids = await asyncio.gather(*map(self.journal.put, statements))
        return "logged" if all(event_id is not None for event_id in event_ids) else "spooled"
