"""Which stretches of the log do not count: what rollbacks took back, and notices withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from highwayman.env.types import Control, ControlKind
from highwayman.feedback.log.event_id import EventId, previous_id, sort_key


@dataclass(frozen=True, slots=True)
class VoidedRange:
    """A stretch of the log whose feedback, and changes noticed, do not count: what a rollback took back.

    A stretch of one event is a notice that was withdrawn: the change it reports was brought about by false feedback.
    """

    after: EventId
    upto: EventId  # inclusive

    @property
    def is_single_event(self) -> bool:
        """Whether it is a single event's."""
        return self.after == previous_id(self.upto)

    def __contains__(self, event_id: EventId) -> bool:
        """Return whether the event lies in the stretch."""
        return sort_key(self.after) < sort_key(event_id) <= sort_key(self.upto)


def effective_rollbacks(rollbacks: Sequence[VoidedRange]) -> tuple[VoidedRange, ...]:
    """Return which of all the log's rollbacks, in log order, hold in the end.

    The last one does; of those before it, only what was so at the point it went back to. What was withdrawn stays so.
    """
    effective: list[VoidedRange] = []
    for span in reversed(rollbacks):
        if not span.is_single_event and (not effective or sort_key(span.upto) <= sort_key(effective[-1].after)):
            effective.append(span)
    withdrawn = sorted({span for span in rollbacks if span.is_single_event}, key=lambda span: sort_key(span.upto))
    return (*reversed(effective), *withdrawn)


def voided_range(event: object, event_id: EventId) -> VoidedRange | None:
    """Return what an event of the log makes void, None for most. Raises ValueError, KeyError for a damaged one."""
    if not isinstance(event, Control) or event.kind not in (ControlKind.ROLLBACK, ControlKind.CHANGE_WITHDRAWN):
        return None
    if event.kind is ControlKind.ROLLBACK:
        span = VoidedRange(str(event.detail["position"]), event_id)
    else:
        span = VoidedRange(previous_id(str(event.detail["event"])), str(event.detail["event"]))
    sort_key(span.after)  # a ValueError for what is no position
    return span
