"""A decision's record, made of its events."""

from dataclasses import dataclass, field

from highwayman.env.types import ControlKind, Decision, Feedback, Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import Event
from highwayman.feedback.log.record import Record


@dataclass(slots=True)
class RecordBuilder:
    """What the events of one decision, added in log order, come to."""

    since_ms: int = 0  # when the first event came; for whoever lets records go
    decision: Decision | None = None
    decision_id: EventId | None = None
    outcome: Outcome | None = None
    outcome_id: EventId | None = None
    feedback: dict[EventId, Feedback] = field(default_factory=dict)
    erased_id: EventId | None = None
    erased_feedback: dict[str, EventId] = field(default_factory=dict)
    quarantine_toggles: dict[str, tuple[EventId, ...]] = field(default_factory=dict)

    def add(self, event_id: EventId, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, Decision):
            self.decision, self.decision_id = event, event_id
        elif isinstance(event, Outcome):
            self.outcome, self.outcome_id = event, event_id
        elif isinstance(event, Feedback):
            self.feedback[event_id] = event
        elif event.kind is ControlKind.QUARANTINE:
            for feedback_id in event.detail["feedback"]:
                self.quarantine_toggles[feedback_id] = (*self.quarantine_toggles.get(feedback_id, ()), event_id)
        elif event.detail.get("feedback"):
            self.erased_feedback = dict.fromkeys(event.detail["feedback"], event_id) | self.erased_feedback
        else:
            self.erased_id = event_id

    def build(self) -> Record:
        """Return the record by now."""
        return Record(
            self.decision,
            self.decision_id,
            self.outcome,
            self.outcome_id,
            dict(self.feedback),
            self.erased_id,
            dict(self.erased_feedback),
            dict(self.quarantine_toggles),
        )
