"""What a protocol is made of: pure functions from its request to a chat's, and from a chat's answer to its own."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import BadRequest, BodyLimits

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_TOLD = 16  # names of what was left out


@dataclass(frozen=True, slots=True)
class AnsweredBy:
    """What an answer goes out under."""

    decision_id: str
    arm: str


class EventTranslator(Protocol):
    """Makes a protocol's stream of a chat's, event by event."""

    def feed(self, event: JsonObject) -> bytes:
        """Return the events that go out for one that came, parsed."""
        ...

    def finish(self) -> bytes:
        """Return the events that end the stream of an answer that has come to its end."""
        ...

    def fail(self, error: JsonObject) -> bytes:
        """Return the events that end the stream of an answer that broke off; `error` is as OpenAI's API writes it."""
        ...


class AnswerTranslator(Protocol):
    """Makes a protocol's answer of a chat's, as one request wants it."""

    def whole(self, answer: JsonObject, by: AnsweredBy) -> JsonObject:
        """Return the answer of a chat's whole one."""
        ...

    def stream(self, by: AnsweredBy) -> EventTranslator:
        """Return what translates a stream."""
        ...


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """A request as a chat's body, and what its answer is translated with."""

    chat: JsonObject
    answers: AnswerTranslator
    left_out: tuple[str, ...] = ()  # what of it no chat can say, by name
    session: str | None = None  # which conversation it is of, where the protocol tells that in a place of its own


@dataclass(frozen=True, slots=True)
class ClientProtocol:
    """One protocol, as it stands on its path."""

    summary: str  # of what is done, for the page of routes
    required: tuple[str, ...]  # keys of its body
    translate: Callable[[bytes, BodyLimits], TranslatedRequest]  # raises BadRequest
    error: Callable[[int, JsonObject], JsonObject] | None = None  # an error's body, of OpenAI's; None: as that is


class LeftOut:
    """Collects the names of what is not carried over."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: object) -> None:
        """Note a name; one that could not stand in a header is told as `other`."""
        text = str(name)
        if len(self._names) < _MOST_TOLD:
            self._names[text if _NAME.fullmatch(text) else "other"] = None

    def add_keys(self, value: JsonObject, known: frozenset[str]) -> None:
        """Note the keys of an object that are not known, and that say something."""
        for key in value.keys() - known:
            if value[key] not in (None, [], {}):
                self.add(key)

    def names(self) -> tuple[str, ...]:
        """Return them, in order of the alphabet."""
        return tuple(sorted(self._names))


def objects(value: Any, where: str) -> list[JsonObject]:
    """Return a list of objects. Raises BadRequest for anything else."""
    if not isinstance(value, list):
        raise BadRequest(f"{where}: must be a list", param=where)
    for place, item in enumerate(value):
        if not isinstance(item, dict):
            raise BadRequest(f"{where}.{place}: must be an object", param=f"{where}.{place}")
    return value


def text_of(value: JsonObject, key: str, where: str) -> str:
    """Return the text under a key. Raises BadRequest where there is none."""
    text = value.get(key)
    if not isinstance(text, str):
        raise BadRequest(f"{where}.{key}: must be a string", param=f"{where}.{key}")
    return text


def plain_content(parts: list[JsonObject]) -> str | list[JsonObject]:
    """Return parts as one text where they are nothing else: every server reads that."""
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def function_tool(function: JsonObject) -> JsonObject:
    """Return a tool as a chat offers it, without what is not said of it."""
    return {"type": "function", "function": {key: value for key, value in function.items() if value is not None}}


def sse(kind: str, data: JsonObject) -> bytes:
    """Return an event of a stream that names its kind, as both protocols write it."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
