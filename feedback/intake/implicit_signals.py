"""Implicit feedback, which a request gives on earlier answers: pure functions of its messages."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REGENERATED, REPHRASED = "regenerated", "rephrased"
ABANDONED, TOOL_FAILURE = "abandoned", "tool_failure"
_LIKE = 0.85  # cosine of two questions, from which on the second asks the first anew
_SHORTEST = 12  # characters of a question that can be rephrased: "yes", "go on" and "thanks" are none
_ERROR = re.compile(r"\s*(?:[\w.]*(?:error|exception)\b|traceback \(most recent call last\)|failed\b)", re.IGNORECASE)
_LONGEST_WRITTEN = 64 * 1024  # characters
_ERROR_KEYS = ("error", "is_error", "isError", "exception")

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ImplicitSignal:
    """A weak statement about the answers to an earlier turn."""

    metric: str
    turn: str  # as `turn_key` names it


def turn_key(messages: Messages, secret: bytes) -> str:
    """Return what names the turn that these messages ask for, which gives nothing of them away.

    Harmless differences make no other turn: how content is written down, blanks around it, and system messages, which
    hold dates.
    """
    digest = hashlib.blake2b(key=secret, digest_size=15, person=b"turn")
    for message in messages:
        if message.get("role") not in ("system", "developer"):
            digest.update(json.dumps(_short(_plain(message)), sort_keys=True, default=str).encode())
            digest.update(b"\0")
    return digest.hexdigest()


def implicit_signals(
    messages: Messages, secret: bytes, similarity: Callable[[str, str], float]
) -> list[ImplicitSignal]:
    """Return what a request's messages show about the conversation's last answer.

    A question put anew, in other words or the same, is known by the words alone. A tool's error is the fault of the
    answer that called it, as far as anybody can tell. That a turn is asked again shows in its key, not in its messages.

    Args:
        messages: of the request, as they came: only their roles are known to be text.
        secret: of the namespace.
        similarity: cosine of two texts, in [-1, 1].
    """
    answered = _last_answer(messages)
    if answered is None:
        return []
    later, metrics = messages[answered + 1 :], []
    if any(message.get("role") in ("tool", "function") and _failed(message) for message in later):
        metrics.append(TOOL_FAILURE)
    before, now = _question(messages[:answered]), _question(later)
    if min(len(before), len(now)) >= _SHORTEST and (before == now or similarity(before, now) >= _LIKE):
        metrics.append(REPHRASED)
    turn = turn_key(messages[:answered], secret) if metrics else ""
    return [ImplicitSignal(metric, turn) for metric in metrics]


def has_invalid_tool_calls(calls: Sequence[tuple[str, str]], tools: object) -> bool:
    """Return whether an answer calls a tool that it was not offered, or with arguments that are no JSON."""
    offered = {_name(tool) for tool in tools} if isinstance(tools, list) else set()
    return any(name not in offered or not _is_json(arguments) for name, arguments in calls)


def _last_answer(messages: Messages) -> int | None:
    places = [place for place, message in enumerate(messages) if message.get("role") == "assistant"]
    return places[-1] if places else None


def _question(messages: Messages) -> str:
    """Return the text of the newest user message."""
    texts = [_text(message.get("content")) for message in messages if message.get("role") == "user"]
    return texts[-1] if texts else ""


def _failed(message: Mapping[str, Any]) -> bool:
    """Return whether a tool's message reports an error."""
    text = _text(message.get("content"))
    try:
        result = json.loads(text)
    except (ValueError, RecursionError):
        return _ERROR.match(text) is not None
    if not isinstance(result, dict):
        return False
    return any(result.get(key) for key in _ERROR_KEYS) or result.get("success") is False


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    plain = {"role": message.get("role"), "content": _text(message.get("content"))}
    calls = message.get("tool_calls")
    return {**plain, "calls": calls} if calls else plain


def _short(message: dict[str, Any]) -> dict[str, Any]:
    """Return a plain message with a digest in place of long content: to write that down would hold everybody up."""
    text = message["content"]
    if len(text) <= _LONGEST_WRITTEN:
        return message
    digest = hashlib.blake2b(digest_size=16)
    for start in range(0, len(text), _LONGEST_WRITTEN):
        digest.update(text[start : start + _LONGEST_WRITTEN].encode("utf-8", "surrogatepass"))
    return {**message, "content": digest.hexdigest()}


def _text(content: object) -> str:
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, list) else ()
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def _name(tool: object) -> str | None:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except (ValueError, RecursionError):
        return False
    return True
