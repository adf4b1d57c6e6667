"""The decisions that were read last, so that an outcome's record need not be asked for: most follow within seconds."""

from collections import OrderedDict

from highwayman.env.types import Decision, Outcome
from highwayman.feedback.log.event_id import EventId, sort_key
from highwayman.feedback.log.record import Record


class RecentDecisions:
    """Of one reader of the log; it may go back and read on from there."""

    def __init__(self, *, most: int = 4096) -> None:
        """Take how many decisions without an outcome are kept, some 3 kB each; the oldest go first."""
        self._most = most
        self._read: OrderedDict[str, tuple[EventId, Decision]] = OrderedDict()  # by the decision's id

    def add(self, event_id: EventId, decision: Decision) -> None:
        """Take a decision that was read."""
        self._read[decision.id] = event_id, decision
        if len(self._read) > self._most:
            self._read.popitem(last=False)

    def record_of(self, event_id: EventId, outcome: Outcome) -> Record | None:
        """Return the record as this outcome makes it, if nothing but its decision was filed before; None: not known.

        A decision that stands behind the outcome, and was read before the reader went back, is none of its past.
        """
        decision_id, decision = self._read.pop(outcome.decision_id, (None, None))
        if decision_id is None or sort_key(decision_id) >= sort_key(event_id):
            return None
        return Record(decision, decision_id, outcome, event_id)
