"""Who listens to answers once they are given: they add nothing to the time a client waits."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from highwayman.env.transcript import Transcript
from highwayman.env.types import Arm, Decision, Outcome
from highwayman.serving.asgi import Background
from highwayman.serving.wire import Asked

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

    def __init__(self, ears: Sequence[Ear], background: Background) -> None:
        """Take who listens, and what runs beside the requests."""
        self._ears = tuple(ears)
        self._background = background

    def wanting_text(self, asked: Asked, decision: Decision, arm: Arm) -> tuple[Ear, ...]:
        """Return who wants the answer written down."""
        return tuple(ear for ear in self._ears if ear.wants_text(asked, decision, arm))

    def heard(self, answered: Answered) -> None:
        """Let everybody hear it, in their own time."""
        for ear in self._ears:
            self._background.spawn(_safely(ear, answered))


async def _safely(ear: Ear, answered: Answered) -> None:
    try:
        await ear.hear(answered)
    except Exception as error:  # one who cannot hear must not silence the others; no payload goes to the log
        log.error("%s could not hear an answer: %s", type(ear).__name__, type(error).__name__)
