"""The text and the tool calls of an answer, put together from a whole body or from the chunks of a stream."""

from collections.abc import Mapping
from typing import Any

from highwayman.env.upstream.answers.answer_text import arguments_of

_MOST_CHARS = 200_000  # of an answer that are kept; the rest nobody reads


class Transcript:
    """The first choice of an answer: its text, and the tools it called."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chars = 0
        self._calls: dict[int, tuple[str, list[str]]] = {}  # name, pieces of the arguments
        self._places = CallPlaces()

    @property
    def text(self) -> str:
        """The words."""
        return "".join(self._parts)

    @property
    def tool_calls(self) -> list[tuple[str, str]]:
        """The name and the arguments of each tool that was called."""
        return [(name, "".join(pieces)) for _, (name, pieces) in sorted(self._calls.items())]

    def add(self, answer: Any) -> None:
        """Add a whole answer, or a chunk (parsed); what has another shape is ignored."""
        choices = answer.get("choices") if isinstance(answer, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or first.get("index", 0) != 0:
            return
        message = first.get("message") or first.get("delta")
        if isinstance(message, dict):
            self._add_text(message.get("content"))
            self._add_calls(message.get("tool_calls"))
        self._add_text(first.get("text"))

    def _add_text(self, text: Any) -> None:
        if isinstance(text, str) and self._chars < _MOST_CHARS:
            self._parts.append(text)
            self._chars += len(text)

    def _add_calls(self, calls: Any) -> None:
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                continue
            place = self._places.of(call)
            name, pieces = self._calls.get(place, ("", []))
            pieces.append(arguments_of(function))
            function_name = function.get("name")
            self._calls[place] = (name or (function_name if isinstance(function_name, str) else ""), pieces)


class CallPlaces:
    """Tells which call of an answer a piece of one belongs to.

    OpenAI numbers calls, and names one in its first piece. Some servers number none of them, or all alike (Gemini's).
    """

    def __init__(self) -> None:
        self._at: dict[Any, int] = {}  # the call that has a number now
        self._by_id: dict[str, int] = {}
        self._count = 0

    def of(self, call: Mapping[str, Any]) -> int:
        """Return the place of the call, from 0 in the order in which they began, that the next piece belongs to."""
        number, own_id, function = call.get("index"), call.get("id"), call.get("function")
        number = number if isinstance(number, int) else None
        own_id = own_id if isinstance(own_id, str) else ""
        place = self._by_id.get(own_id) if own_id else self._at.get(number)
        begins_anew = number is None and not own_id and isinstance(function, dict) and bool(function.get("name"))
        if own_id and place is None and number in self._at and self._at[number] not in self._by_id.values():
            place = self._at[number]  # it is named later than it began
        if place is None or begins_anew:
            place, self._count = self._count, self._count + 1
        self._at[number] = place
        if own_id:
            self._by_id[own_id] = place
        return place
