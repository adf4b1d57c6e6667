"""What is said of answers: addressed to its decisions, weighed, corrected, and put on the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from highwayman.env.errors import HighwaymanError, InvalidFeedback, StoreUnavailable, UnknownDecision
from highwayman.env.metric import Metric
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.intake.feedback_ids import public_id
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.pending import PendingFeedback, PendingItem, split_weight
from highwayman.feedback.intake.pending_retraction import PendingRetraction
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.intake.retraction import FiledStatements
from highwayman.feedback.intake.statement_calibration import StatementCalibration
from highwayman.feedback.intake.statements import StatementBuilder
from highwayman.feedback.intake.submission import FeedbackSubmission
from highwayman.feedback.intake.targets import ResolvedTarget, TargetResolver
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.trust.principal import Principal

_TOGETHER = 100  # statements of an import that are looked up, and written, with one round trip each
_AT_A_TIME = 5  # of them that are worked on without a break


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """What became of a statement."""

    id: str  # under which it can be taken back
    decision_ids: tuple[str, ...]  # none while it is held
    value: float | None
    state: str  # logged, spooled, held, or withdrawn before it was filed


_Hold = Callable[[Sequence[PendingItem]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement that has only to be filed, or to be held until its decision is known."""

    statement: Feedback
    target: ResolvedTarget
    shares: Sequence[Feedback] = ()  # one for each decision
    hold: _Hold | None = None  # what holds it, where its decision is not known

    @property
    def item(self) -> PendingItem:
        """What is held."""
        return PendingItem(self.statement, self.target.names)

    def held(self) -> FeedbackReceipt:
        """Return the receipt of a statement that is held."""
        return FeedbackReceipt(public_id(self.statement), (), self.statement.value, "held")


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
    # Called with the same, as it stands on each of the decisions that it is about.
    on_filed: Callable[[Sequence[Feedback]], None] = lambda shares: None
    pending_spool: PendingSpool | None = None  # takes what cannot be looked up now; None: that is refused

    async def submit(self, submission: FeedbackSubmission, principal: Principal) -> FeedbackReceipt:
        """File a statement.

        Raises:
            InvalidFeedback: the metric is unknown, or does not take this value, or from this source.
            UnknownDecision: the decision is not this tenant's, or takes no more feedback.
            StoreUnavailable: neither the log nor the spool takes it, or what it speaks of cannot be looked up.
        """
        (result,) = await self._file([await self._prepared(submission, principal)])
        if isinstance(result, HighwaymanError):
            raise result
        return result

    async def submit_all(
        self, submissions: Sequence[FeedbackSubmission], principal: Principal
    ) -> list[FeedbackReceipt | HighwaymanError]:
        """File statements in their order, a hundred with a few round trips; return what became of each.

        A statement that is refused, or that nothing takes, is told by what `submit` would raise; the others are filed.
        """
        results: list[FeedbackReceipt | HighwaymanError] = []
        for start in range(0, len(submissions), _TOGETHER):
            results += await self._submit_together(submissions[start : start + _TOGETHER], principal)
        return results

    async def _submit_together(
        self, submissions: Sequence[FeedbackSubmission], principal: Principal
    ) -> list[FeedbackReceipt | HighwaymanError]:
        targets = await self.targets.looked_up([submission.target for submission in submissions], principal.tenant)
        service = replace(self, targets=targets)
        results: list[FeedbackReceipt | HighwaymanError | _Prepared] = []
        for place, submission in enumerate(submissions):  # one after another: the order is that of the import
            if place % _AT_A_TIME == 0:
                await asyncio.sleep(0)  # others have their turn
            try:
                results.append(await service._prepared(submission, principal))
            except HighwaymanError as error:
                results.append(error)
        prepared = [result for result in results if isinstance(result, _Prepared)]
        filed = iter(await self._file(prepared))
        return [next(filed) if isinstance(result, _Prepared) else result for result in results]

    async def _prepared(self, submission: FeedbackSubmission, principal: Principal) -> "_Prepared":
        """Return a statement ready to be filed, or to be held. Raises what `submit` raises."""
        metric = self.spec.metric(submission.metric)
        if metric.senders and submission.source not in metric.senders:
            raise InvalidFeedback(f"metric {metric.name!r} is said by {', '.join(sorted(metric.senders))} only")
        target, hold = await self._resolved(submission, metric, principal.tenant)
        statement = await self.statements.build(submission, metric, principal, direct=target.direct)
        about = target.decision_ids or target.names
        statement = await self.influence_weights.weigh(statement, metric, principal, about)
        if not target.decision_ids:
            return _Prepared(statement, target, hold=hold)
        shares = split_weight(statement, target.decision_ids)
        return _Prepared(statement, target, await self.calibration.apply(shares, metric, principal.tenant))

    async def _file(self, prepared: Sequence["_Prepared"]) -> list[FeedbackReceipt | HighwaymanError]:
        """Hold statements, or put them on the log in their order; return what became of each."""
        failure = await self._held([each for each in prepared if each.hold is not None])
        shares = [share for each in prepared for share in each.shares]
        put = iter(await asyncio.gather(*map(self.journal.put, shares), return_exceptions=True))
        return [
            self._receipt(each, [next(put) for _ in each.shares]) if each.hold is None else failure or each.held()
            for each in prepared
        ]

    async def _held(self, prepared: Sequence["_Prepared"]) -> HighwaymanError | None:
        """Hold statements together: where one cannot be looked up, none of them can. Return why they are not held."""
        try:
            if prepared and prepared[0].hold is not None:
                await prepared[0].hold([each.item for each in prepared])
        except HighwaymanError as error:
            return error
        return None

    def _receipt(
        self, prepared: "_Prepared", put: Sequence[EventId | BaseException | None]
    ) -> FeedbackReceipt | HighwaymanError:
        """Return what became of a statement by what the journal said of each of its shares."""
        for result in put:
            if isinstance(result, HighwaymanError):
                return result
            if isinstance(result, BaseException):
                raise result
        self.on_feedback(prepared.statement)
        self.on_filed(prepared.shares)
        state = "spooled" if None in put else "logged"
        return FeedbackReceipt(
            public_id(prepared.shares[0]), prepared.target.decision_ids, prepared.statement.value, state
        )

    async def retract(self, feedback_id: str, principal: Principal, *, source: str | None = None) -> FeedbackReceipt:
        """Take back what was filed, or is held, under `feedback_id`: an id of ours, or with `source` the sender's own.

        Raises:
            UnknownDecision: nothing of this tenant's was filed under it.
            StoreUnavailable: Redis does not answer, and nothing holds what is to be taken back.
        """
        now = self.clock()
        try:
            filed = await self.filed.find(feedback_id, principal.tenant, source=source)
        except StoreUnavailable:
            if self.pending_spool is None:
                raise
            await self.pending_spool.add_retraction(PendingRetraction(feedback_id, principal.tenant, source, now))
            return FeedbackReceipt(feedback_id, (), None, "held")
        except UnknownDecision:
            if not await self.pending.discard(self.filed.links(feedback_id, principal.tenant, source=source)):
                raise
            return FeedbackReceipt(feedback_id, (), None, "withdrawn")
        state = await self._put(filed.retractions(at=now))
        return FeedbackReceipt(filed.public_id, tuple(filed.standing), None, state)

    async def retract_held(self, retraction: PendingRetraction) -> bool:
        """Take back what was to be taken back while Redis was away; return whether that is done with.

        It is not while nothing is found: what was said may itself still be on its way. Raises StoreUnavailable.
        """
        now = self.clock()
        try:
            filed = await self.filed.find(retraction.feedback_id, retraction.tenant, source=retraction.source)
        except UnknownDecision:
            return now - (retraction.held_at or now) > self.pending.keep_s
        await self._put(filed.retractions(at=now, said_at=retraction.said_at))
        return True

    async def _resolved(
        self, submission: FeedbackSubmission, metric: Metric, tenant: str
    ) -> tuple[ResolvedTarget, "_Hold"]:
        """Return the answers meant, or their names, and what holds the statement until they are found.

        Raises:
            InvalidFeedback, UnknownDecision: as `submit` does.
            StoreUnavailable: nothing can be looked up, and nothing holds what must be.
        """
        try:
            resolved = await self.targets.resolve(
                submission.target, metric, tenant, within=submission.within_conversation
            )
            return resolved, self.pending.add_all
        except StoreUnavailable:
            names = self.targets.names(submission.target, tenant, within=submission.within_conversation)
            if self.pending_spool is None or not names:
                raise
            return ResolvedTarget(names=names), self.pending_spool.add_all

    async def _put(self, statements: Sequence[Feedback]) -> str:
        """Put statements on the log; return what became of them."""
        event_ids = await asyncio.gather(*map(self.journal.put, statements))
        return "spooled" if None in event_ids else "logged"
