"""The text and the tool calls of an answer, put together from a whole body or from the chunks of a stream."""

from typing import Any

_MOST_CHARS = 200_000  # of an answer that are kept; the rest nobody reads


class Transcript:
    """The first choice of an answer: its text, and the tools it called."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._chars = 0
        self._calls: dict[int, tuple[str, list[str]]] = {}  # name, pieces of the arguments

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
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                continue
            index = call.get("index", place)
            name, pieces = self._calls.get(index if isinstance(index, int) else place, ("", []))
            piece = function.get("arguments")
            pieces.append(piece if isinstance(piece, str) else "")
            function_name = function.get("name")
            self._calls[index if isinstance(index, int) else place] = (
                name or (function_name if isinstance(function_name, str) else ""),
                pieces,
            )
