"""Pieces that a response is written with, whole or as a stream."""

from dataclasses import dataclass
from typing import Final

from highwayman.env.types import JsonObject
from highwayman.serving.protocols.chat_answer import ChatUsage
from highwayman.serving.protocols.protocol import AnsweredBy

# What a response says of its request, and what it says where the request says nothing.
ECHOED: Final[JsonObject] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What every form of one response has in common."""

    by: AnsweredBy
    created_at: int
    echoed: JsonObject

    def response(self, status: str, output: list[JsonObject], usage: ChatUsage | None = None) -> JsonObject:
        """Return the response as it stands."""
        return {
            "id": f"resp_{self.by.decision_id}",
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": self.by.arm,
            "output": output,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "truncation": "disabled",
            **ECHOED,
            **self.echoed,
            "usage": None if usage is None else _usage_fields(usage),
        }

    def ended(self, finish_reason: str, output: list[JsonObject], usage: ChatUsage | None) -> JsonObject:
        """Return the response of an answer that has ended, for this reason."""
        why = _INCOMPLETE.get(finish_reason)
        if why is None:
            return self.response("completed", output, usage)
        return {**self.response("incomplete", output, usage), "incomplete_details": {"reason": why}}


def reasoning_item(by: AnsweredBy, text: str, *, place: int, status: str) -> JsonObject:
    """Return an item of what was thought aloud."""
    content = [{"type": "reasoning_text", "text": text}] if text else []
    return {"id": f"rs_{by.decision_id}_{place}", "type": "reasoning", "summary": [], "content": content,
            "status": status}  # fmt: skip


def text_part(text: str) -> JsonObject:
    """Return the part of a message that holds its text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(by: AnsweredBy, text: str | None, *, place: int, status: str) -> JsonObject:
    """Return an item of what was said; None: nothing yet."""
    content = [] if text is None else [text_part(text)]
    return {"id": f"msg_{by.decision_id}_{place}", "type": "message", "role": "assistant", "content": content,
            "status": status}  # fmt: skip


def call_item(call_id: str, name: str, arguments: str, *, item_id: str, status: str) -> JsonObject:
    """Return an item of a function that is called."""
    return {"id": item_id, "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments,
            "status": status}  # fmt: skip


def custom_call_item(call_id: str, name: str, text: str, *, item_id: str, status: str) -> JsonObject:
    """Return an item of a tool that is called with a text."""
    return {"id": item_id, "type": "custom_tool_call", "call_id": call_id, "name": name, "input": text,
            "status": status}  # fmt: skip


def _usage_fields(usage: ChatUsage) -> JsonObject:
    return {
        "input_tokens": usage.tokens_in,
        "input_tokens_details": {"cached_tokens": usage.tokens_cached, "cache_write_tokens": 0},
        "output_tokens": usage.tokens_out,
        "output_tokens_details": {"reasoning_tokens": usage.tokens_reasoned},
        "total_tokens": usage.tokens_in + usage.tokens_out,
    }
