"""Observers of answers once they are given: they add nothing to the time a client waits."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Arm, Decision, Outcome
from highwayman.env.upstream.answers.transcript import Transcript
from highwayman.serving.completions.requests.request import CompletionRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompletedCall:
    """A request that has ended, whether or not it was answered."""

    request: CompletionRequest
    decision: Decision
    outcome: Outcome
    transcript: Transcript | None  # where an observer wanted it
    transcript_for: tuple["CompletionObserver", ...] = ()  # those observers

    def is_wanted_by(self, observer: "CompletionObserver") -> bool:
        """Return whether this observer wanted the answer written down."""
        return any(member is observer for member in self.transcript_for)


class CompletionObserver(Protocol):
    """Is notified of completed calls."""

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        """Return whether the answer that `arm` begins to give shall be written down."""

    async def on_completion(self, completed: CompletedCall) -> None:
        """Handle a call that has ended."""


class CompletionObservers:
    """All observers of this router."""

    def __init__(self, observers: Sequence[CompletionObserver]) -> None:
        """Take the observers."""
        self._observers = tuple(observers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._observers)

    def wanting_transcript(
        self, request: CompletionRequest, decision: Decision, arm: Arm
    ) -> tuple[CompletionObserver, ...]:
        """Return the observers that want the answer written down."""
        return tuple(observer for observer in self._observers if observer.wants_transcript(request, decision, arm))

    def notify(self, completed: CompletedCall, *, only: "CompletionObserver | None" = None) -> None:
        """Notify every observer, or one of them alone, each in a task of its own."""
        observers = self._observers if only is None else (only,)
        for observer in observers if not self._closed else ():
            task = asyncio.create_task(_safely(observer, completed))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Cancel what is under way: a slow judge must not hold up the shutdown."""
        self._closed = True
        for task in list(self._tasks):
            await cancel_and_wait(task)


async def _safely(observer: CompletionObserver, completed: CompletedCall) -> None:
    try:
        await observer.on_completion(completed)
    except Exception as error:  # one that fails must not stop the others; no payload goes to the log
        log.error("%s failed on a completed call: %s", type(observer).__name__, type(error).__name__)
