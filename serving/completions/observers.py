"""Who listens to answers once they are given: they add nothing to the time a client waits."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from highwayman.env.tasks import end
from highwayman.env.types import Arm, Decision, Outcome
from highwayman.env.upstream.transcript import Transcript
from highwayman.serving.completions.request import Asked

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that has ended, whether or not it was answered."""

    asked: Asked
    decision: Decision
    outcome: Outcome
    transcript: Transcript | None  # where somebody wanted it
    wanted_by: tuple["Ear", ...] = ()  # who

    def drawn_by(self, ear: "Ear") -> bool:
        """Return whether this ear wanted the answer written down."""
        return any(one is ear for one in self.wanted_by)


class Ear(Protocol):
    """Listens to answers."""

    def wants_text(self, asked: Asked, decision: Decision, arm: Arm) -> bool:
        """Return whether the answer that `arm` begins to give shall be written down."""

    async def hear(self, answered: Answered) -> None:
        """Make of it what is to be made."""


class Audience:
    """All who listen."""

    def __init__(self, ears: Sequence[Ear]) -> None:
        """Take who listens."""
        self._ears = tuple(ears)
        self._hearing: set[asyncio.Task[None]] = set()
        self._closed = False

    def wanting_text(self, asked: Asked, decision: Decision, arm: Arm) -> tuple[Ear, ...]:
        """Return who wants the answer written down."""
        return tuple(ear for ear in self._ears if ear.wants_text(asked, decision, arm))

    def heard(self, answered: Answered) -> None:
        """Let everybody hear it, in their own time."""
        for ear in self._ears if not self._closed else ():
            task = asyncio.create_task(_safely(ear, answered))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)

    async def close(self) -> None:
        """Stop listening: a judge that is slow must hold nobody up who wants to end."""
        self._closed = True
        for task in list(self._hearing):
            await end(task)


async def _safely(ear: Ear, answered: Answered) -> None:
    try:
        await ear.hear(answered)
    except Exception as error:  # one who cannot hear must not silence the others; no payload goes to the log
        log.error("%s could not hear an answer: %s", type(ear).__name__, type(error).__name__)
