"""What an answer says, over all its choices, as far as it takes to count tokens that nobody reported."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core

_MOST_CHARS = 20_000  # kept as a sample of the scripts; the others are only counted
_MOST_UNREAD_BYTES = 1 << 18


class AnswerText:
    """The words of an answer: content, reasoning, refusals, calls of tools; put together from a body or from chunks."""

    def __init__(self, whole: Any = None) -> None:
        """Begin with a whole answer (parsed), which is read once somebody asks, or with nothing."""
        self._whole = whole
        self._chars = 0
        self._pieces = 0
        self._calls_tools = False
        self._parts: list[str] = []
        self._kept = 0
        # Read once somebody asks: where a server counts its tokens, nobody does. What is read already waits its turn.
        self._unread: list[bytes | Sequence[str]] = []
        self._unread_bytes = 0

    @property
    def chars(self) -> int:
        """How many characters there are."""
        self._read()
        return self._chars

    @property
    def pieces(self) -> int:
        """How many chunks of a choice said something: each is about a token or more."""
        self._read()
        return self._pieces

    @property
    def calls_tools(self) -> bool:
        """Whether a tool is called in it, however it ends."""
        self._read()
        return self._calls_tools

    @property
    def sample(self) -> str:
        """The first words."""
        self._read()
        return "".join(self._parts)

    def add(self, answer: Any) -> bool:
        """Add a whole answer, or a chunk (parsed), and return whether it said anything; another shape is ignored."""
        choices = answer.get("choices") if isinstance(answer, dict) else None
        says = False
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and (texts := _texts(choice)):
                if self._unread:
                    self.add_unread([texts], sum(map(len, texts)))
                else:
                    self._add_piece(texts)
                says = True
                self._calls_tools = self._calls_tools or _calls_tools(choice)
        return says

    def add_unread(self, pieces: Sequence[bytes | Sequence[str]], size: int) -> None:
        """Add chunks of a choice, `size` bytes: of each, the inside of the JSON string that it says, or its texts."""
        self._unread += pieces
        self._unread_bytes += size
        if self._unread_bytes > _MOST_UNREAD_BYTES:
            self._read()

    def _read(self) -> None:
        if self._whole is not None:
            whole, self._whole = self._whole, None
            self.add(whole)
        if not self._unread:
            return
        unread, self._unread, self._unread_bytes = self._unread, [], 0
        for piece in unread:
            try:
                self._add_piece([pydantic_core.from_json(b'"%b"' % piece)] if isinstance(piece, bytes) else piece)
            except ValueError:
                continue  # neither was the chunk that it stood in

    def _add_piece(self, texts: Sequence[str]) -> None:
        self._pieces += 1
        for text in texts:
            self._chars += len(text)
            if self._kept < _MOST_CHARS:
                self._parts.append(text[: _MOST_CHARS - self._kept])
                self._kept += len(self._parts[-1])


def _texts(choice: dict[str, Any]) -> list[str]:
    """Return what a choice says."""
    message = choice.get("message") or choice.get("delta")
    texts = [choice.get("text")]
    if isinstance(message, dict):
        content = message.get("content")
        if isinstance(content, list):
            texts += [part.get("text") if isinstance(part, dict) else part for part in content]
        else:
            texts.append(content)
        # Reasoning comes under two names.
        texts += [message.get("refusal"), message.get("reasoning_content") or message.get("reasoning")]
        if calls := message.get("tool_calls"):
            for call in calls if isinstance(calls, list) else ():
                texts += _function_texts(call.get("function") if isinstance(call, dict) else None)
        if function := message.get("function_call"):
            texts += _function_texts(function)
    return [text for text in texts if text and isinstance(text, str)]


def _calls_tools(choice: dict[str, Any]) -> bool:
    said = choice.get("message") or choice.get("delta")
    return isinstance(said, dict) and bool(said.get("tool_calls") or said.get("function_call"))


def _function_texts(function: Any) -> list[Any]:
    return [function.get("name"), arguments_of(function)] if isinstance(function, dict) else []


def arguments_of(function: Mapping[str, Any]) -> str:
    """Return the arguments of a call as the text that they are, or of servers that give an object, that of it."""
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        return json.dumps(arguments, ensure_ascii=False)
    return arguments if isinstance(arguments, str) else ""
