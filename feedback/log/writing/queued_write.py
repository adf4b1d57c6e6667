"""An event on its way and whoever waits for it; what becomes of one that did not go directly, or cannot go at all."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from enum import StrEnum

from highwayman.env.errors import InvalidFeedback
from highwayman.env.types import Feedback
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import UnwritableEvent, encode, kind_letter
from highwayman.feedback.log.store import Written

log = logging.getLogger(__name__)

QueuedWrite = tuple[Written, "asyncio.Future[EventId | None]"]


class DeliveryOutcome(StrEnum):
    """What became of an event that did not go to the log directly."""

    SPOOLED = "spooled"
    DRAINED = "drained"
    LOST = "lost"
    SET_ASIDE = "set_aside"  # it cannot be written at all
    SENT_AGAIN = "sent_again"


DeliveryCallback = Callable[[DeliveryOutcome, str], None]  # with the kind of the event: d, o, f


class WritabilityCheck:
    """Sets events aside that cannot be written, such as those with a number that is too large: counted, and told."""

    def __init__(self, on_delivery_outcome: DeliveryCallback) -> None:
        """Take what counts them."""
        self._on_delivery_outcome = on_delivery_outcome

    def is_writable(self, event: Written) -> bool:
        """Return whether the event can be written; one that cannot is counted and told."""
        try:
            encode(event)
        except UnwritableEvent as error:
            self.count_set_aside(event, error)
            return False
        return True

    def count_set_aside(self, event: Written, error: UnwritableEvent) -> None:
        """Count an event that cannot be written, and tell it in the process's log without what is in it."""
        log.error("an event is set aside: %s", error)
        self._on_delivery_outcome(DeliveryOutcome.SET_ASIDE, kind_letter(event))

    def set_aside(self, batch: Sequence[QueuedWrite]) -> list[QueuedWrite]:
        """Return the writes of a batch whose events can be written, in order; the others are counted and resolved."""
        writable = []
        for event, future in batch:
            if self.is_writable(event):
                writable.append((event, future))
            else:
                resolve(future, unwritable(event))
        return writable


def unwritable(event: Written) -> InvalidFeedback | None:
    """Return what whoever put an unwritable event is told."""
    if not isinstance(event, Feedback):
        return None
    return InvalidFeedback("This statement holds something that cannot be kept, such as a number that is too large.")


def resolve(future: "asyncio.Future[EventId | None]", result: EventId | Exception | None) -> None:
    """Tell whoever waits what became of an event."""
    if future.done():  # whoever waited has gone
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
