"""Who listens to answers once they are given: they add nothing to the time a client waits."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Arm, Decision, Outcome
from highwayman.env.upstream.transcript import Transcript
from highwayman.serving.completions.request import CompletionRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CompletedCall:
    """A request that has ended, whether or not it was answered."""

    request: CompletionRequest
    decision: Decision
    outcome: Outcome
    transcript: Transcript | None  # where somebody wanted it
    transcript_for: tuple["CompletionObserver", ...] = ()  # who

    def wanted_by(self, observer: "CompletionObserver") -> bool:
        """Return whether this ear wanted the answer written down."""
        return any(one is observer for one in self.transcript_for)


class CompletionObserver(Protocol):
    """Listens to answers."""

    def wants_transcript(self, request: CompletionRequest, decision: Decision, arm: Arm) -> bool:
        """Return whether the answer that `arm` begins to give shall be written down."""

    async def on_completion(self, completed: CompletedCall) -> None:
        """Make of it what is to be made."""


class CompletionObservers:
    """All who listen."""

    def __init__(self, observers: Sequence[CompletionObserver]) -> None:
        """Take who listens."""
        self._observers = tuple(observers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def wanting_transcript(
        self, request: CompletionRequest, decision: Decision, arm: Arm
    ) -> tuple[CompletionObserver, ...]:
        """Return who wants the answer written down."""
        return tuple(observer for observer in self._observers if observer.wants_transcript(request, decision, arm))

    def notify(self, completed: CompletedCall) -> None:
        """Let everybody hear it, in their own time."""
        for observer in self._observers if not self._closed else ():
            task = asyncio.create_task(_safely(observer, completed))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop listening: a judge that is slow must hold nobody up who wants to end."""
        self._closed = True
        for task in list(self._tasks):
            await cancel_and_wait(task)


async def _safely(observer: CompletionObserver, completed: CompletedCall) -> None:
    try:
        await observer.on_completion(completed)
    except Exception as error:  # one who cannot hear must not silence the others; no payload goes to the log
        log.error("%s could not hear an answer: %s", type(observer).__name__, type(error).__name__)
