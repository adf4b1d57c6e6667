"""From a chat's answer to Anthropic's message, and from OpenAI's errors to theirs."""

import json
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.serving.protocols.chat_answer import (
    ChatUsage,
    call_id,
    first_choice,
    function_of,
    reasoning_of,
    said_text,
    tool_calls_of,
    usage_of,
)
from highwayman.serving.protocols.messages.stream import MessageStream
from highwayman.serving.protocols.messages.wire import message_head, stop_reason, usage_fields
from highwayman.serving.protocols.protocol import AnsweredBy

_ERRORS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@dataclass(frozen=True, slots=True)
class MessageAnswers:
    """Makes messages of a chat's answers."""

    stops: tuple[str, ...] = ()  # texts that the caller wants the answer to end before
    shows_thinking: bool = False  # whether the caller asked to see what is thought

    def whole(self, answer: JsonObject, by: AnsweredBy) -> JsonObject:
        """Return the message of a whole answer."""
        choice, message = first_choice(answer, "message")
        content: list[JsonObject] = []
        if self.shows_thinking and (thought := reasoning_of(message)):
            content.append({"type": "thinking", "thinking": thought, "signature": ""})
        if text := said_text(message, "content", "refusal"):
            content.append({"type": "text", "text": text})
        calls = tool_calls_of(message)
        content += [_tool_use(call, call_id(call, by, place)) for place, call in enumerate(calls)]
        reason, stop = stop_reason(choice, called=bool(calls), stops=self.stops)
        return {
            **message_head(by),
            "content": content,
            "stop_reason": reason,
            "stop_sequence": stop,
            "usage": usage_fields(usage_of(answer) or ChatUsage()),
        }

    def stream(self, by: AnsweredBy) -> MessageStream:
        """Return what translates a stream."""
        return MessageStream(by, stops=self.stops, shows_thinking=self.shows_thinking)


def error_body(status: int, error: JsonObject) -> JsonObject:
    """Return an error as Anthropic's API writes it, of one as OpenAI's does."""
    return {"type": "error", "error": {"type": error_type(status), "message": str(error.get("message") or "")}}


def error_type(status: int) -> str:
    """Return Anthropic's name for what a status says."""
    return _ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")


def _tool_use(call: JsonObject, name_of_call: str) -> JsonObject:
    name, arguments = function_of(call)
    return {"type": "tool_use", "id": name_of_call, "name": name, "input": _input(arguments)}


def _input(arguments: str) -> JsonObject:
    """Return a call's arguments as an object; a text that is none is passed on, for the tool to refuse."""
    try:
        value: Any = json.loads(arguments) if arguments else {}
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": arguments}
