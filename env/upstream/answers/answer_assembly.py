"""A stream put together as the whole answer it would have been, and log probabilities kept from who did not ask."""

import json
from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.transcript import Transcript

_MOST_TOKENS: Final = 4096  # whose log probabilities are kept


class AnswerAssembly:
    """The first choice of a stream: what it said, which tools it called, how sure it was, why it ended."""

    def __init__(self, *, hides_logprobs: bool) -> None:
        """Say whether log probabilities go no further."""
        self._hides_logprobs = hides_logprobs
        self._transcript = Transcript()
        self._refusal: list[str] = []
        self._tokens: list[Any] = []
        self._finish_reason: str | None = None

    def on_event(self, event: Any) -> bytes | None:
        """Take an event (parsed); return the line that goes out in its place, None where it goes as it came."""
        self._transcript.add(event)
        choices = event.get("choices") if isinstance(event, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(first, dict) and first.get("index", 0) == 0:
            self._add(first)
        hidden = without_logprobs(event) if self._hides_logprobs else None
        if hidden is None:
            return None
        return b"data: " + json.dumps(hidden, ensure_ascii=False, separators=(",", ":")).encode()

    def answer(self) -> JsonObject:
        """Return the answer as it is so far."""
        calls = [
            {"type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in self._transcript.tool_calls
        ]
        message: JsonObject = {"role": "assistant", "content": self._transcript.text}
        message |= {"tool_calls": calls} if calls else {}
        message |= {"refusal": "".join(self._refusal)} if self._refusal else {}
        logprobs = {"content": self._tokens} if self._tokens else None
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": self._finish_reason}
        return {"choices": [choice]}

    def _add(self, choice: JsonObject) -> None:
        delta, logprobs = choice.get("delta"), choice.get("logprobs")
        refusal = delta.get("refusal") if isinstance(delta, dict) else None
        if isinstance(refusal, str):
            self._refusal.append(refusal)
        content = logprobs.get("content") if isinstance(logprobs, dict) else None
        if isinstance(content, list):
            self._tokens += content[: _MOST_TOKENS - len(self._tokens)]
        reason = choice.get("finish_reason")
        self._finish_reason = reason if isinstance(reason, str) else self._finish_reason


def without_logprobs(answer: Any) -> JsonObject | None:
    """Return an answer or a chunk (parsed) whose choices tell no log probabilities, None where none does anyway."""
    listed = answer.get("choices") if isinstance(answer, dict) else None
    choices: list[Any] = listed if isinstance(listed, list) else []
    told = [isinstance(choice, dict) and choice.get("logprobs") is not None for choice in choices]
    if not any(told):
        return None
    silent = [{**choice, "logprobs": None} if tells else choice for choice, tells in zip(choices, told, strict=True)]
    return {**answer, "choices": silent}
