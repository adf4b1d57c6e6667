"""What events say of decisions and calls, counted: whichever comes first, and taken away again where one is erased.

What they say of rewards is learned by the learner; here is counted how many answers have any.
"""

from highwayman.env.types import DEFAULT_TENANT, Decision, Outcome
from highwayman.feedback.fold.cascade_gates import count_looks
from highwayman.feedback.fold.join import AttributedReward
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import LogPoint, Record


def count_event(tally: Tally, event_id: EventId, event: Event, record: Record | None, *, fingerprint: str) -> None:
    """Add what an event, with its decision's record, says to a tally; `fingerprint` is of the encoder in use."""
    before = LogPoint(event_id, inclusive=False)
    if isinstance(event, Decision):
        tally.on_decision(event)
        tally.history.on_decision(event)
        if record is not None and record.outcome is not None and before.includes(record.outcome_id):
            tally.on_tenant_known(record.outcome, event.tenant)
            _count_answer(tally, event, record.outcome, fingerprint=fingerprint)
    elif isinstance(event, Outcome):
        tally.on_outcome(event, tenant=_tenant_at(record, before))
        if record is not None and record.decision is not None and before.includes(record.decision_id):
            _count_answer(tally, record.decision, event, fingerprint=fingerprint)
    elif record is not None and record.erased_id == event_id:
        _uncount(tally, record, before, fingerprint=fingerprint)


def count_answers(tally: Tally, before: AttributedReward | None, after: AttributedReward | None) -> None:
    """Count answers that have feedback standing: what lies between two rewards may have given, moved or taken one."""
    for credit, sign in ((before, -1), (after, 1)):
        if credit is not None and credit.reward.weight > 0:
            tally.arm(credit.arm).feedback += sign


def _count_answer(
    tally: Tally,
    decision: Decision,
    outcome: Outcome,
    *,
    fingerprint: str,
    sign: int = 1,
    known_at: EventId | None = None,
) -> None:
    """Learn what takes decision and outcome to know, both of which are; with `sign` -1 take it away again."""
    calls = outcome.calls
    tally.control.on_answer(decision, outcome, sign=sign)
    tally.efficiency.on_answer(decision, outcome, sign=sign)
    tally.history.on_answer(decision, outcome, sign=sign)
    if sign > 0:
        tally.on_prompt_read(decision, calls[-1])
        count_looks(tally, decision, outcome)
    if decision.context.fingerprint == fingerprint:
        for call in calls:
            tally.amounts.on_answer(decision, call, sign=sign, known_at=known_at)


def _uncount(tally: Tally, record: Record, point: LogPoint, *, fingerprint: str) -> None:
    """Take an erased decision and its outcome out of the tally, as far as they had been counted."""
    if record.decision is not None and point.includes(record.decision_id):
        tally.on_decision(record.decision, sign=-1)
        tally.history.on_decision(record.decision, sign=-1)
    if record.outcome is not None and point.includes(record.outcome_id):
        tally.on_outcome(record.outcome, tenant=_tenant_at(record, point), sign=-1)
        if record.decision is not None and point.includes(record.decision_id):
            ids = (event_id for event_id in (record.decision_id, record.outcome_id) if event_id is not None)
            known_at = max(ids, key=sort_key)
            _count_answer(tally, record.decision, record.outcome, fingerprint=fingerprint, sign=-1, known_at=known_at)


def _tenant_at(record: Record | None, point: LogPoint) -> str:
    """Return whose decision it is, the default tenant as long as the log up to `point` does not hold it."""
    if record is None or record.decision is None or not point.includes(record.decision_id):
        return DEFAULT_TENANT
    return record.decision.tenant
