"""Which stretches of the log do not count: what rollbacks took back, and notices withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from highwayman.env.types import Control, ControlKind
from highwayman.feedback.log.event_id import EventId, before, order


@dataclass(frozen=True, slots=True)
class Void:
    """A stretch of the log whose feedback, and changes noticed, do not count: what a rollback took back.

    A stretch of one event is a notice that was withdrawn: the change it tells of was somebody's lie.
    """

    after: EventId
    upto: EventId  # inclusive

    @property
    def withdraws(self) -> bool:
        """Whether it is a single event's."""
        return self.after == before(self.upto)

    def __contains__(self, event_id: EventId) -> bool:
        """Return whether the event lies in the stretch."""
        return order(self.after) < order(event_id) <= order(self.upto)


def standing(rollbacks: Sequence[Void]) -> tuple[Void, ...]:
    """Return which of all the log's rollbacks, in log order, hold in the end.

    The last one does; of those before it, only what was so at the point it went back to. What was withdrawn stays so.
    """
    found: list[Void] = []
    for void in reversed(rollbacks):
        if not void.withdraws and (not found or order(void.upto) <= order(found[-1].after)):
            found.append(void)
    withdrawn = sorted({void for void in rollbacks if void.withdraws}, key=lambda void: order(void.upto))
    return (*reversed(found), *withdrawn)


def void_of(event: object, event_id: EventId) -> Void | None:
    """Return what an event of the log makes void, None for most. Raises ValueError, KeyError for a damaged one."""
    if not isinstance(event, Control) or event.kind not in (ControlKind.ROLLBACK, ControlKind.CHANGE_WITHDRAWN):
        return None
    if event.kind is ControlKind.ROLLBACK:
        void = Void(str(event.detail["position"]), event_id)
    else:
        void = Void(before(str(event.detail["event"])), str(event.detail["event"]))
    order(void.after)  # a ValueError for what is no position
    return void
