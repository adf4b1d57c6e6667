"""From a submission to the statement that is filed: its id, its person's pseudonym, its value and words."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import Metric, MetricKind
from highwayman.env.reward import RewardSpec
from highwayman.env.types import Feedback
from highwayman.feedback.intake.decision_ids import DecisionIds, without_prefix
from highwayman.feedback.intake.feedback_ids import is_linked, linked_id, new_feedback_id
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackValue
from highwayman.feedback.log.record import Record
from highwayman.feedback.trust.principal import Principal


@dataclass(frozen=True, slots=True)
class StatementBuilder:
    """Makes statements of what is submitted."""

    ids: DecisionIds
    spec: RewardSpec
    record: Callable[[str], Awaitable[Record]]  # of a decision; raises UnknownDecision
    clock: Callable[[], float]  # seconds since the epoch

    async def build(
        self, submission: FeedbackSubmission, metric: Metric, principal: Principal, *, direct: bool
    ) -> Feedback:
        """Return the statement as it is filed, but for the decision it speaks of.

        `direct` says that its decision is named by its id: then that id leads back to the statement; else a link does.

        Raises:
            InvalidFeedback: the metric does not take this value.
            UnknownDecision: the decision it is compared with is not this tenant's.
            StoreUnavailable: that decision cannot be looked up.
        """
        own_id, user = self._named(submission, principal.tenant)
        if not (direct or is_linked(own_id)):
            own_id = linked_id(own_id, once=submission.idempotency_key is not None)
        value, words = _value_and_words(submission, metric)
        return Feedback(
            id=own_id,
            decision_id="",
            at=self.clock(),
            source=submission.source,
            metric=metric.name,
            value=self.spec.parse_value(metric.name, value),
            user=user,
            key=principal.key_id,
            text=metric.text_value(value) or words,
            compared_arm=await self._compared_arm(submission, metric, principal.tenant),
            quarantined=principal.quarantined,
        )

    def _named(self, submission: FeedbackSubmission, tenant: str) -> tuple[str, str]:
        """Return the statement's id, and the pseudonym of who says it.

        A sender's own name for a statement stands for the person where none is said: under the same name a newer value
        replaces the older.
        """
        user = self.ids.pseudonym(submission.user)
        if submission.external_id is not None:
            link = self.ids.link(submission.source, submission.external_id, tenant)
            return linked_id(link), user or link
        if submission.idempotency_key is not None:
            return self.ids.link("once", f"{submission.source}\0{submission.idempotency_key}", tenant), user
        return new_feedback_id(), user

    async def _compared_arm(self, submission: FeedbackSubmission, metric: Metric, tenant: str) -> str:
        """Return the arm whose answer a preference compares with."""
        if metric.kind is not MetricKind.PREFERENCE or submission.value is None:
            return ""
        if not submission.compared_decision_id:
            raise InvalidFeedback(
                f"metric {metric.name!r} compares two answers: give the other's decision id as `other`"
            )
        other = without_prefix(submission.compared_decision_id)
        self.ids.verify(other, tenant)
        return (await self.record(other)).served_arm()


def _value_and_words(submission: FeedbackSubmission, metric: Metric) -> tuple[FeedbackValue, str]:
    """Return what the metric's value is made of, and the words that are kept beside it."""
    value, words = submission.value, submission.comment or ""
    if isinstance(value, str) and metric.kind is not MetricKind.CHOICE:
        words = value
    if value is None and words and metric.kind in (MetricKind.COMMENT, MetricKind.DEMONSTRATION):
        value = words
    return value, words
