"""A journal that says where on the log each outcome stands: only there is it known who has counted it."""

from collections.abc import Callable
from typing import Any

from highwayman.env.types import Outcome
from highwayman.feedback.fold.join import EventId
from highwayman.feedback.log.journal import Journal
from highwayman.feedback.log.store import Written

Told = Callable[[Outcome, EventId | None], None]


class OutcomeJournal(Journal):
    """Tells of every outcome put: its id on the log, or None where it is in the spool, was erased, or is lost."""

    def __init__(self, *parts: Any, written: Told, **more: Any) -> None:
        """Take who is told, and the parts of a `Journal`."""
        super().__init__(*parts, **more)
        self._written = written

    async def put(self, event: Written) -> EventId | None:
        """Return what `Journal.put` does, and raise what it raises."""
        event_id: EventId | None = None
        try:
            event_id = await super().put(event)
        finally:
            if isinstance(event, Outcome):
                self._written(event, event_id)
        return event_id
