"""Feedback from whichever door, checked, addressed to decisions, weighed, and put on the log."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from highwayman.env.encoder.clusters import cluster_of
from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.metric import Metric, MetricKind
from highwayman.env.reward import RewardSpec, dedup_key
from highwayman.env.types import Feedback
from highwayman.feedback.calibration.calibrator import Calibrator
from highwayman.feedback.intake.decision_ids import DecisionIds, without_prefix
from highwayman.feedback.intake.feedback_ids import (
    is_linked,
    link_of,
    linked_id,
    new_feedback_id,
    public_id,
    split_public_id,
)
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.pending import PendingFeedback, PendingItem, split_weight
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.log.journal import Journal
from highwayman.feedback.log.record import Record
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.principal import Principal


@dataclass(frozen=True, slots=True)
class FeedbackReceipt:
    """What became of a statement."""

    id: str  # under which it can be taken back
    decision_ids: tuple[str, ...]  # none while it is held
    value: float | None
    state: str  # logged, spooled or held


@dataclass(frozen=True, slots=True)
class _Addressed:
    """The decisions that are meant, or, while there are none, the names they will be found under."""

    decision_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    direct: bool = False  # by the id of the one decision


@dataclass(frozen=True, slots=True)
class FeedbackService:
    """Takes statements in, each once."""

    store: Store
    journal: Journal
    pending: PendingFeedback
    ids: DecisionIds
    spec: RewardSpec
    influence_weights: InfluenceWeights
    calibrator: Calibrator
    clock: Callable[[], float]  # seconds since the epoch
    window_s: float  # how long a decision takes feedback, if its metric says no less
    on_feedback: Callable[[Feedback], None] = lambda said: None  # called with each statement that was filed

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
        addressed = await self._addressed(submission.target, metric, principal)
        about = addressed.decision_ids or addressed.names
        filed = self.influence_weights.apply(
            await self._feedback(submission, metric, principal), metric, principal, about
        )
        if not (addressed.direct or is_linked(filed.id)):
            filed = replace(filed, id=linked_id(filed.id, once=submission.idempotency_key is not None))
        if not addressed.decision_ids:
            await self.pending.add(PendingItem(filed, addressed.names))
            return FeedbackReceipt(public_id(filed), (), filed.value, "held")
        statements = await self._corrected(split_weight(filed, addressed.decision_ids), metric, principal)
        state = await self._put(statements)
        self.on_feedback(filed)
        return FeedbackReceipt(public_id(statements[0]), addressed.decision_ids, filed.value, state)

    async def _corrected(self, statements: list[Feedback], metric: Metric, principal: Principal) -> list[Feedback]:
        """Return statements with the quality they stand for, where thumbs have something to say about it."""
        weight = self.calibrator.thumb_weight(statements[0], tenant=principal.tenant)
        if weight != 1.0:
            return [replace(one, weight=one.weight * weight) for one in statements]
        if not metric.needs_calibration or statements[0].value is None:
            return statements
        records = await self.store.records([one.decision_id for one in statements])
        return [self._by_record(one, metric, records.get(one.decision_id), principal.tenant) for one in statements]

    def _by_record(self, feedback: Feedback, metric: Metric, record: Record | None, tenant: str) -> Feedback:
        decision = record.decision if record is not None else None
        if record is None or decision is None:
            return self.calibrator.correct(feedback, metric, tenant=tenant, arm="", kind=0)
        kind = cluster_of(decision.context)
        return self.calibrator.correct(feedback, metric, tenant=tenant, arm=record.served_arm(), kind=kind)

    async def retract(self, feedback_id: str, principal: Principal, *, source: str | None = None) -> FeedbackReceipt:
        """Take back what was filed under `name`: an id of ours, or with `source` the sender's own.

        Raises:
            UnknownDecision: nothing of this tenant's was filed under it.
            StoreUnavailable: Redis does not answer.
        """
        decision_id, own = split_public_id(feedback_id) if source is None else ("", feedback_id)
        for head in [own] if source is None else self.ids.links(source, own, principal.tenant):
            names = [decision_id] if decision_id else await self.store.linked_decisions(head)
            known = await self._known(head, [one for one in names if self._own(one, principal)])
            if known:
                return FeedbackReceipt(
                    feedback_id if decision_id else head, tuple(known), None, await self._retract_standing(known)
                )
        raise UnknownDecision("No feedback with this id was filed here.")

    def _own(self, decision_id: str, principal: Principal) -> bool:
        return self.ids.issued_at(decision_id, principal.tenant) is not None

    async def _known(self, head: str, decision_ids: Sequence[str]) -> dict[str, Feedback | None]:
        """Return the decisions on which something was filed under `head`, each with what of it stands.

        What a newer statement of the same source and person has replaced, or taken back, does not stand.
        """
        records = await self.store.records(decision_ids)
        found: dict[str, Feedback | None] = {}
        for name, record in records.items():
            feedback = sorted(record.feedback.values(), key=lambda one: one.at)
            mine = next((one for one in reversed(feedback) if link_of(one.id) == head), None)
            if mine is not None:
                newest = [one for one in feedback if dedup_key(one) == dedup_key(mine)][-1]
                stands = newest.value is not None and link_of(newest.id) == head
                found[name] = newest if stands else None
        return found

    async def _retract_standing(self, known: Mapping[str, Feedback | None]) -> str:
        """Take back what stands; return what became of it."""
        now = self.clock()
        standing = [one for one in known.values() if one is not None]
        ids = [linked_id(link_of(one.id)) if is_linked(one.id) else new_feedback_id() for one in standing]
        return await self._put(
            [replace(one, id=own, at=now, value=None) for one, own in zip(standing, ids, strict=True)]
        )

    async def _feedback(self, submission: FeedbackSubmission, metric: Metric, principal: Principal) -> Feedback:
        """Return the statement as it is filed, but for the decision it speaks of."""
        head, user = self._named(submission, principal)
        value, words = submission.value, submission.comment or ""
        if isinstance(value, str) and metric.kind is not MetricKind.CHOICE:
            words = value
        if value is None and words and metric.kind in (MetricKind.COMMENT, MetricKind.DEMONSTRATION):
            value = words
        return Feedback(
            id=head,
            decision_id="",
            at=self.clock(),
            source=submission.source,
            metric=metric.name,
            value=self.spec.parse_value(metric.name, value),
            user=user,
            key=principal.key_id,
            text=metric.text_value(value) or words,
            compared_arm=await self._other(submission, metric, principal),
            quarantined=principal.quarantined,
        )

    def _named(self, submission: FeedbackSubmission, principal: Principal) -> tuple[str, str]:
        """Return the statement's id, and the pseudonym of who says it.

        A sender's own name for a statement stands for the person where none is said: under the same name a newer value
        replaces the older.
        """
        user = self.ids.pseudonym(submission.user)
        if submission.external_id is not None:
            head = self.ids.link(submission.source, submission.external_id, principal.tenant)
            return linked_id(head), user or head
        if submission.idempotency_key is not None:
            return self.ids.link("once", f"{submission.source}\0{submission.idempotency_key}", principal.tenant), user
        return new_feedback_id(), user

    async def _other(self, submission: FeedbackSubmission, metric: Metric, principal: Principal) -> str:
        """Return the arm whose answer a preference compares with."""
        if metric.kind is not MetricKind.PREFERENCE or submission.value is None:
            return ""
        if not submission.compared_decision_id:
            raise InvalidFeedback(
                f"metric {metric.name!r} compares two answers: give the other's decision id as `other`"
            )
        other = without_prefix(submission.compared_decision_id)
        self.ids.verify(other, principal.tenant)
        return (await self.store.record(other)).served_arm()

    async def _addressed(self, about: FeedbackTarget, metric: Metric, principal: Principal) -> _Addressed:
        """Return the decisions meant. Raises UnknownDecision where all of them are too old, or somebody else's."""
        if about.decision_id:
            decision_id = without_prefix(about.decision_id)
            self.ids.verify(decision_id, principal.tenant)
            return _Addressed(self._open([decision_id], metric, principal), direct=True)
        named = without_prefix(about.request_id)
        if named and self.ids.issued_at(named, principal.tenant) is not None:
            return _Addressed(self._open([named], metric, principal), direct=True)
        kind, name = ("request", about.request_id) if about.request_id else ("conversation", about.conversation_id)
        if not name:
            raise InvalidFeedback("say which answer: one of decision_id, request_id and conversation_id")
        names = tuple(self.ids.links(kind, name, principal.tenant))
        for one in names:
            found = await self.store.linked_decisions(one)
            if found:
                return _Addressed(self._open(found, metric, principal))
        return _Addressed(names=names)

    def _open(self, decision_ids: Sequence[str], metric: Metric, principal: Principal) -> tuple[str, ...]:
        """Return which decisions still take this feedback. Raises UnknownDecision where none does."""
        window_s = min(self.window_s, metric.window_s or self.window_s)
        now = self.clock()
        ages = {one: now - (self.ids.issued_at(one, principal.tenant) or 0.0) for one in decision_ids}
        found = tuple(one for one, age_s in ages.items() if age_s <= window_s)
        if not found:
            raise UnknownDecision(f"This decision no longer takes feedback: it was made more than {window_s:g} s ago.")
        return found

    async def _put(self, statements: Sequence[Feedback]) -> str:
        """Put statements on the log; return what became of them."""
        if len(statements) == 1:
            return "spooled" if await self.journal.put(statements[0]) is None else "logged"
        ids = await asyncio.gather(*map(self.journal.put, statements))
        return "logged" if all(one is not None for one in ids) else "spooled"
