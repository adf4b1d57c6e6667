"""A journal that tells of the outcomes it takes."""

from collections.abc import Callable
from typing import Any

from highwayman.env.types import Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.journal import Journal
from highwayman.feedback.log.store import Written

OutcomeCallback = Callable[[Outcome, EventId | None], None]


class OutcomeJournal(Journal):
    """Reports every outcome put: its id on the log, or None where it is in the spool, was erased, or is lost."""

    def __init__(self, *parts: Any, on_logged: OutcomeCallback, **more: Any) -> None:
        """Take the callback, and the parts of a `Journal`."""
        super().__init__(*parts, **more)
        self._on_logged = on_logged

    async def put(self, event: Written) -> EventId | None:
        """Return what `Journal.put` does, and raise what it raises."""
        event_id: EventId | None = None
        try:
            event_id = await super().put(event)
        finally:
            if isinstance(event, Outcome):
                self._on_logged(event, event_id)
        return event_id
