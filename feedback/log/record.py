"""A decision's record: everything on the log that is about it, as of any point."""

from collections.abc import Mapping, Sequence
from dataclasses import field

from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import Decision, Feedback, Outcome, Status
from highwayman.feedback.log.event_id import EventId, sort_key


class LogPoint:
    """A point of the log: just before or just after one of its events, or its end."""

    def __init__(self, event_id: EventId | None = None, *, inclusive: bool = True) -> None:
        """Take the event, None for the log's end."""
        self._limit = None if event_id is None else sort_key(event_id)
        self._inclusive = inclusive

    def includes(self, event_id: EventId | None) -> bool:
        """Return whether the event, if there is one, lies before this point."""
        if event_id is None or self._limit is None:
            return event_id is not None
        return sort_key(event_id) < self._limit or (self._inclusive and sort_key(event_id) == self._limit)


END = LogPoint()


def is_before(event_id: EventId | None, other: EventId) -> bool:
    """Return whether there is such an event, and it stands before another one on the log."""
    return event_id is not None and sort_key(event_id) < sort_key(other)


@quick_dataclass(frozen=True, slots=True)
class Record:
    """A decision and everything filed under it so far, each with the id of the event that filed it."""

    decision: Decision | None
    decision_id: EventId | None = None
    outcome: Outcome | None = None
    outcome_id: EventId | None = None
    feedback: Mapping[EventId, Feedback] = field(default_factory=dict)
    erased_id: EventId | None = None  # from this event on, nothing is known of it
    erased_feedback: Mapping[str, EventId] = field(default_factory=dict)  # by the feedback's id: from where on
    quarantine_toggles: Mapping[str, Sequence[EventId]] = field(
        default_factory=dict
    )  # by its id: where it was quarantined or released

    def served_arm(self, point: LogPoint = END) -> str:
        """Return the arm that answered; the intended one as long as no outcome tells, empty if nothing does.

        A call that was given up names nobody who served it: its real end may yet take its place.
        """
        if self.outcome is not None and self.outcome.status is not Status.LOST and point.includes(self.outcome_id):
            return self.outcome.arm
        return self.decision.arm if self.decision is not None else ""
