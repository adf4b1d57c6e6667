"""What an answer says, over all its choices, as far as it takes to count tokens that nobody reported."""

from typing import Any

_MOST_CHARS = 20_000  # kept as a sample of the scripts; the others are only counted


class AnswerText:
    """The words of an answer: content, reasoning, refusals, calls of tools; put together from a body or from chunks."""

    def __init__(self) -> None:
        self.chars = 0
        self.pieces = 0  # chunks of a choice that said something: each is about a token or more
        self._parts: list[str] = []
        self._kept = 0

    @property
    def sample(self) -> str:
        """The first words."""
        return "".join(self._parts)

    def add(self, answer: Any) -> None:
        """Add a whole answer, or a chunk (parsed); what has another shape is ignored."""
        choices = answer.get("choices") if isinstance(answer, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                before = self.chars
                self._add_choice(choice)
                self.pieces += self.chars > before

    def _add_choice(self, choice: dict[str, Any]) -> None:
        self._add_text(choice.get("text"))
        message = choice.get("message") or choice.get("delta")
        if not isinstance(message, dict):
            return
        content = message.get("content")
        for part in content if isinstance(content, list) else (content,):
            self._add_text(part.get("text") if isinstance(part, dict) else part)
        self._add_text(message.get("refusal"))
        self._add_text(message.get("reasoning_content") or message.get("reasoning"))  # one under two names
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            self._add_function(call.get("function") if isinstance(call, dict) else None)
        self._add_function(message.get("function_call"))

    def _add_function(self, function: Any) -> None:
        if isinstance(function, dict):
            self._add_text(function.get("name"))
            self._add_text(function.get("arguments"))

    def _add_text(self, text: Any) -> None:
        if not isinstance(text, str):
            return
        self.chars += len(text)
        if self._kept < _MOST_CHARS:
            self._parts.append(text[: _MOST_CHARS - self._kept])
            self._kept += len(self._parts[-1])
