"""What reads signals out of a finished answer: the protocol of it, and how what is read is put together."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.transcript import Transcript

_LARGEST = 1e3  # no signal means anything beyond it


@dataclass(frozen=True, slots=True)
class FinishedAnswer:
    """A whole answer, and the request it is an answer to; both as the API writes them. Neither is to be trusted."""

    request: JsonObject
    answer: JsonObject
    replies: tuple[JsonObject, ...] = ()  # of the calls that the signal which reads it asked for; empty: none was made

    @property
    def choice(self) -> Mapping[str, Any]:
        """The first choice, empty where there is none."""
        choices = self.answer.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        return first if isinstance(first, dict) else {}

    @property
    def message(self) -> Mapping[str, Any]:
        """The first choice's message, empty where there is none."""
        message = self.choice.get("message")
        return message if isinstance(message, dict) else {}

    def transcript(self) -> Transcript:
        """Return the text and the tool calls of the first choice."""
        transcript = Transcript()
        transcript.add(self.answer)
        return transcript


@runtime_checkable
class Signal(Protocol):
    """Reads numbers out of an answer, each under a name of its own."""

    @property
    def names(self) -> tuple[str, ...]:
        """Under which it may tell something; no other signal uses them."""

    @property
    def asks_for(self) -> Mapping[str, Any]:
        """What must stand in the body of the request so that there is something to read, such as `logprobs`."""

    def read(self, finished: FinishedAnswer) -> Mapping[str, float]:
        """Return what the answer tells, by name; what it does not tell is missing, which is no zero."""


@runtime_checkable
class AskingSignal(Signal, Protocol):
    """Reads what further calls say of an answer. They cost, and they take time before anybody sees the answer."""

    @property
    def calls(self) -> int:
        """How many there are, made at the same time."""

    @property
    def asks(self) -> str:
        """The name of the arm that is called; empty: the one whose answer it is."""

    @property
    def uses_profile(self) -> bool:
        """Whether that arm is called under its profile, or its model as it is."""

    def questions(self, finished: FinishedAnswer) -> Sequence[JsonObject]:
        """Return what is sent, bodies of chats without their model; nothing where there is nothing to ask."""


def read_signals(signals: Iterable[Signal], finished: FinishedAnswer) -> dict[str, float]:
    """Return all that the signals tell of an answer: finite numbers only."""
    told = {name: value for signal in signals for name, value in signal.read(finished).items()}
    return {name: max(-_LARGEST, min(float(value), _LARGEST)) for name, value in told.items() if math.isfinite(value)}
