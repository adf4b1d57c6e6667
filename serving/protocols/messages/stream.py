"""From a chat's stream to that of Anthropic's message: blocks that begin, grow and end, one after the other."""

from collections.abc import Mapping, Sequence
from typing import Final

from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.transcript import CallPlaces
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
from highwayman.serving.protocols.messages.wire import message_head, stop_reason, usage_fields
from highwayman.serving.protocols.protocol import AnsweredBy, sse

_TEXT, _THINKING = "text", "thinking"
_EMPTY: Final[Mapping[str, JsonObject]] = {
    _TEXT: {"type": _TEXT, "text": ""},
    _THINKING: {"type": _THINKING, "thinking": "", "signature": ""},
}


class MessageStream:
    """Translates one stream."""

    def __init__(self, by: AnsweredBy, *, stops: Sequence[str] = (), shows_thinking: bool = False) -> None:
        """Take what it goes out under, the texts to end before, and whether thoughts are shown."""
        self._by = by
        self._stops = stops
        self._shows_thinking = shows_thinking
        self._begun = False
        self._blocks = 0
        self._open = ""  # the block that grows: text, thinking, or a tool call by its place
        self._calls: dict[str, int] = {}  # place of a call -> its block
        self._places = CallPlaces()
        self._usage = ChatUsage()
        self._last: JsonObject = {}  # the choice that told why the answer ended

    def feed(self, event: JsonObject) -> bytes:
        """Return the events that go out for one that came."""
        choice, delta = first_choice(event, "delta")
        self._usage = usage_of(event, self._usage) or self._usage
        if choice.get("finish_reason"):
            self._last = choice
        events = [] if self._begun else [self._begin()]
        if self._shows_thinking and (thought := reasoning_of(delta)):
            events += self._grow(_THINKING, {"type": "thinking_delta", "thinking": thought})
        if text := said_text(delta, "content", "refusal"):
            events += self._grow(_TEXT, {"type": "text_delta", "text": text})
        for call in tool_calls_of(delta):
            events += self._call(call)
        return b"".join(events)

    def finish(self) -> bytes:
        """Return the events that end the stream."""
        reason, stop = stop_reason(self._last, called=bool(self._calls), stops=self._stops)
        ended = {"delta": {"stop_reason": reason, "stop_sequence": stop}, "usage": usage_fields(self._usage)}
        return b"".join(
            [
                *([] if self._begun else [self._begin()]),
                *self._close(),
                sse("message_delta", {"type": "message_delta", **ended}),
                sse("message_stop", {"type": "message_stop"}),
            ]
        )

    def fail(self, error: JsonObject) -> bytes:
        """Return the event that ends a stream that broke off."""
        told = {"type": "api_error", "message": str(error.get("message") or "")}
        return sse("error", {"type": "error", "error": told})

    def _begin(self) -> bytes:
        """Return how every stream begins; what the prompt took is told at its end, when the server has counted."""
        self._begun = True
        head = {**message_head(self._by), "content": [], "stop_reason": None, "stop_sequence": None}
        start = {"type": "message_start", "message": {**head, "usage": usage_fields(ChatUsage())}}
        return sse("message_start", start) + sse("ping", {"type": "ping"})

    def _grow(self, kind: str, delta: JsonObject) -> list[bytes]:
        """Return the events of a text that grows: of a new block where another one was open."""
        events = []
        if self._open != kind:
            events += self._start(kind, dict(_EMPTY[kind]))
        return [*events, self._delta(self._blocks - 1, delta)]

    def _call(self, call: JsonObject) -> list[bytes]:
        """Return the events of a piece of a call; its arguments grow as text."""
        place = f"call {self._places.of(call)}"
        name, arguments = function_of(call)
        events = []
        if place not in self._calls:
            block = {"type": "tool_use", "id": call_id(call, self._by, len(self._calls)), "name": name, "input": {}}
            events += self._start(place, block)
            self._calls[place] = self._blocks - 1
        if arguments:
            delta = {"type": "input_json_delta", "partial_json": arguments}
            events.append(self._delta(self._calls[place], delta))
        return events

    def _start(self, kind: str, block: JsonObject) -> list[bytes]:
        closed, self._open = self._close(), kind
        started = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        self._blocks += 1
        return [*closed, sse("content_block_start", started)]

    def _close(self) -> list[bytes]:
        if not self._open:
            return []
        self._open = ""
        return [sse("content_block_stop", {"type": "content_block_stop", "index": self._blocks - 1})]

    @staticmethod
    def _delta(block: int, delta: JsonObject) -> bytes:
        return sse("content_block_delta", {"type": "content_block_delta", "index": block, "delta": delta})
