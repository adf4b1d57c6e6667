"""What is read of a chat's answer, whole or as one event of a stream: servers leave out and add what they like."""

from dataclasses import dataclass
from typing import Any

from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.answer_text import arguments_of
from highwayman.env.upstream.answers.usage_report import parse_reported_usage
from highwayman.serving.protocols.protocol import AnsweredBy


@dataclass(frozen=True, slots=True)
class ChatUsage:
    """Tokens as reported."""

    tokens_in: int = 0  # those from a cache included
    tokens_cached: int = 0
    tokens_out: int = 0
    tokens_reasoned: int = 0  # of tokens_out


def first_choice(answer: JsonObject, key: str) -> tuple[JsonObject, JsonObject]:
    """Return the first choice, and what stands there under `key` (`message` or `delta`); empty where they lack."""
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    choice = first if isinstance(first, dict) and not first.get("index") else {}
    said = choice.get(key)
    return choice, said if isinstance(said, dict) else {}


def said_text(said: JsonObject, *keys: str) -> str:
    """Return the first text under one of the keys that says something, empty without one."""
    return next((text for key in keys if isinstance(text := said.get(key), str) and text), "")


def reasoning_of(said: JsonObject) -> str:
    """Return what was thought aloud, under whichever name."""
    return said_text(said, "reasoning_content", "reasoning")


def tool_calls_of(said: JsonObject) -> list[JsonObject]:
    """Return the calls of tools, or the pieces of them that an event brings."""
    calls = said.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def function_of(call: JsonObject) -> tuple[str, str]:
    """Return the name and the arguments of a call, as far as they are said."""
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    return said_text(function, "name"), arguments_of(function)


def call_id(call: JsonObject, by: AnsweredBy, place: int) -> str:
    """Return the id of a call; of a server that gives none, one that no other call has."""
    return said_text(call, "id") or f"call_{by.decision_id}_{place}"


def created_at(answer: JsonObject) -> int:
    """Return when an answer was made (s, epoch), 0 where that is not said."""
    return _count(answer.get("created"))


def usage_of(answer: JsonObject, before: ChatUsage | None = None) -> ChatUsage | None:
    """Return the tokens reported, beside what a stream has reported `before`; None where none are."""
    report = parse_reported_usage(answer)
    if report is None:
        return before
    known = before or ChatUsage()
    return ChatUsage(
        report.tokens_in or known.tokens_in,
        report.tokens_cached or known.tokens_cached,
        report.tokens_out or known.tokens_out,
        _detail(answer.get("usage"), "completion_tokens_details", "reasoning_tokens") or known.tokens_reasoned,
    )


def _detail(usage: Any, key: str, name: str) -> int:
    details = usage.get(key) if isinstance(usage, dict) else None
    return _count(details.get(name)) if isinstance(details, dict) else 0


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0
