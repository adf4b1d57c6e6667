"""A journal that tells of the outcomes it takes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from highwayman.env.types import Outcome
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.store import Written
from highwayman.feedback.log.writing.journal import Journal

OutcomeCallback = Callable[[Outcome, EventId | None], None]


class OutcomeJournal(Journal):
    """Reports every outcome put: its id on the log, or None where it is in the spool, was erased, or is lost.

    Once nothing waits in the spool any more it tells the place of the last event that did.
    """

    def __init__(
        self, *parts: Any, on_logged: OutcomeCallback, on_drained: Callable[[EventId], None], **more: Any
    ) -> None:
        """Take the callbacks, and the parts of a `Journal`."""
        super().__init__(*parts, **more)
        self._on_logged = on_logged
        self._on_drained = on_drained

    def submit(self, event: Written, *, may_wait: bool = False) -> "asyncio.Future[EventId | None]":
        """Return what `Journal.submit` does; an outcome is reported as soon as its future is done."""
        future = super().submit(event, may_wait=may_wait)
        if isinstance(event, Outcome):
            future.add_done_callback(partial(self._on_done, event))
        return future

    def _tell_drained(self) -> None:
        self._on_drained(self._drained_upto)

    def _on_done(self, outcome: Outcome, future: "asyncio.Future[EventId | None]") -> None:
        is_known = not future.cancelled() and future.exception() is None
        self._on_logged(outcome, future.result() if is_known else None)
