"""Pieces that a message is written with, whole or as a stream."""

from collections.abc import Sequence
from typing import Final

from highwayman.env.types import JsonObject
from highwayman.serving.protocols.chat_answer import ChatUsage
from highwayman.serving.protocols.protocol import AnsweredBy

_REASONS: Final = {"length": "max_tokens", "content_filter": "refusal"}


def message_head(by: AnsweredBy) -> JsonObject:
    """Return what every message begins with."""
    return {"id": f"msg_{by.decision_id}", "type": "message", "role": "assistant", "model": by.arm}


def usage_fields(usage: ChatUsage) -> JsonObject:
    """Return tokens as Anthropic counts them: what a cache held is no part of the input."""
    return {
        "input_tokens": max(usage.tokens_in - usage.tokens_cached, 0),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.tokens_cached,
        "output_tokens": usage.tokens_out,
    }


def stop_reason(choice: JsonObject, *, called: bool, stops: Sequence[str]) -> tuple[str, str | None]:
    """Return why an answer ended, and before which of the caller's texts, where the server tells (as vLLM does)."""
    if called:
        return "tool_use", None
    stop = choice.get("stop_reason")
    if isinstance(stop, str) and stop in stops:
        return "stop_sequence", stop
    return _REASONS.get(str(choice.get("finish_reason")), "end_turn"), None
