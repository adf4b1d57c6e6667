"""What events say of decisions and calls, counted: whichever comes first, and taken away again where one is erased.

What they say of rewards is learned by the learner; here is counted how many answers have any.
"""

from highwayman.env.types import DEFAULT_TENANT, Decision, Outcome
from highwayman.feedback.fold.cascade_gates import count_looks
from highwayman.feedback.fold.join import AttributedReward
from highwayman.feedback.fold.tally import Tally
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import LogPoint, Record, is_before


def count_event(tally: Tally, event_id: EventId, event: Event, record: Record | None, *, fingerprint: str) -> None:
    """Add what an event, with its decision's record, says to a tally; `fingerprint` is of the encoder in use."""
    if isinstance(event, Decision):
        tally.on_decision(event)
        tally.history.on_decision(event)
        if record is not None and record.outcome is not None and is_before(record.outcome_id, event_id):
            tally.on_tenant_known(record.outcome, event.tenant)
            _count_answer(tally, event, record.outcome, fingerprint=fingerprint)
    elif isinstance(event, Outcome):
        if record is not None and record.decision is not None and is_before(record.decision_id, event_id):
            tally.on_outcome(event, tenant=record.decision.tenant)
            _count_answer(tally, record.decision, event, fingerprint=fingerprint)
        else:  # whose it is will be known when its decision comes
            tally.on_outcome(event)
    elif record is not None and record.erased_id == event_id:
        _uncount(tally, record, LogPoint(event_id, inclusive=False), fingerprint=fingerprint)


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
    calls = outcome.calls if outcome.stages else (outcome,)
    tally.control.on_answer(decision, outcome, sign=sign)
    tally.efficiency.on_answer(decision, outcome, sign=sign)
    tally.history.on_answer(decision, outcome, sign=sign)
    if sign > 0:
        tally.on_prompt_read(decision, calls[-1])
        if outcome.stages:
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
        is_known = record.decision is not None and point.includes(record.decision_id)
        tenant = record.decision.tenant if record.decision is not None and is_known else DEFAULT_TENANT
        tally.on_outcome(record.outcome, tenant=tenant, sign=-1)
        if record.decision is not None and is_known:
            ids = (event_id for event_id in (record.decision_id, record.outcome_id) if event_id is not None)
            known_at = max(ids, key=sort_key)
            _count_answer(tally, record.decision, record.outcome, fingerprint=fingerprint, sign=-1, known_at=known_at)
