"""From a chat's stream to that of a response: items that begin, grow and end, each event with its number."""

from dataclasses import dataclass
from typing import Final

from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.transcript import CallPlaces
from highwayman.serving.protocols.chat_answer import (
    ChatUsage,
    call_id,
    created_at,
    first_choice,
    function_of,
    reasoning_of,
    said_text,
    tool_calls_of,
    usage_of,
)
from highwayman.serving.protocols.protocol import AnsweredBy, sse
from highwayman.serving.protocols.responses.tools import CustomTools
from highwayman.serving.protocols.responses.wire import (
    ResponseHead,
    call_item,
    custom_call_item,
    message_item,
    reasoning_item,
    text_part,
)

_THINKING, _TEXT = "thinking", "text"
_GROWS, _DONE = "in_progress", "completed"
_DELTAS: Final = {
    _THINKING: "response.reasoning_text",
    _TEXT: "response.output_text",
}
_CALL, _CUSTOM_CALL = "response.function_call_arguments", "response.custom_tool_call_input"


@dataclass(slots=True)
class _Growing:
    """The item that grows."""

    kind: str  # _THINKING, _TEXT, or a call by its place
    text: str = ""
    call_id: str = ""
    name: str = ""


class ResponseStream:
    """Translates one stream."""

    def __init__(self, by: AnsweredBy, echoed: JsonObject, custom: CustomTools) -> None:
        """Take what it goes out under, what is said of the request, and which tools take a text."""
        self._by, self._echoed, self._custom = by, echoed, custom
        self._head: ResponseHead | None = None  # None: nothing has gone out
        self._number = 0
        self._items: list[JsonObject] = []  # that have ended
        self._growing: _Growing | None = None
        self._calls = 0
        self._places = CallPlaces()
        self._usage: ChatUsage | None = None
        self._finish_reason = ""

    def feed(self, event: JsonObject) -> bytes:
        """Return the events that go out for one that came."""
        choice, delta = first_choice(event, "delta")
        self._usage = usage_of(event, self._usage)
        self._finish_reason = said_text(choice, "finish_reason") or self._finish_reason
        events = self._begin(created_at(event))
        if thought := reasoning_of(delta):
            events += self._grow(_THINKING, thought)
        if text := said_text(delta, "content", "refusal"):
            events += self._grow(_TEXT, text)
        for call in tool_calls_of(delta):
            events += self._grow_call(call)
        return b"".join(events)

    def finish(self) -> bytes:
        """Return the events that end the stream."""
        events = [*self._begin(0), *self._end_item()]
        response = self._response_head().ended(self._finish_reason, self._items, self._usage)
        return b"".join([*events, self._event(f"response.{response['status']}", {"response": response})])

    def fail(self, error: JsonObject) -> bytes:
        """Return the events that end a stream that broke off."""
        events = self._begin(0)
        told = {"code": "server_error", "message": str(error.get("message") or "")}
        response = {**self._response_head().response("failed", self._items, self._usage), "error": told}
        return b"".join([*events, self._event("response.failed", {"response": response})])

    def _begin(self, created: int) -> list[bytes]:
        if self._head is not None:
            return []
        self._head = ResponseHead(self._by, created, self._echoed)
        response = {"response": self._head.response(_GROWS, [])}
        return [self._event("response.created", response), self._event("response.in_progress", response)]

    def _response_head(self) -> ResponseHead:
        return self._head or ResponseHead(self._by, 0, self._echoed)

    def _grow(self, kind: str, text: str) -> list[bytes]:
        """Return the events of a text or a thought that grows; of a new item where another one was growing."""
        events = []
        if self._growing is None or self._growing.kind != kind:
            events = self._begin_item(_Growing(kind))
            if kind == _TEXT:
                events.append(self._on_part("response.content_part.added", part=text_part("")))
        return [*events, self._add(_DELTAS[kind], text, **_said(kind))]

    def _grow_call(self, call: JsonObject) -> list[bytes]:
        """Return the events of a piece of a call; that of a tool which takes a text is told once it is whole."""
        kind = f"call {self._places.of(call)}"
        name, arguments = function_of(call)
        events = []
        if self._growing is None or self._growing.kind != kind:
            item = _Growing(kind, call_id=call_id(call, self._by, self._calls), name=name)
            self._calls += 1
            events = self._begin_item(item)
        if self._growing is not None and self._growing.name in self._custom.names:
            self._growing.text += arguments
            return events
        return [*events, self._add(_CALL, arguments)] if arguments else events

    def _begin_item(self, growing: _Growing) -> list[bytes]:
        ended, self._growing = self._end_item(), growing
        return [*ended, self._on_item("response.output_item.added", self._item(growing, "", _GROWS))]

    def _end_item(self) -> list[bytes]:
        growing = self._growing
        if growing is None:
            return []
        events = self._end_text(growing)
        item = self._item(growing, growing.text, _DONE)
        events.append(self._on_item("response.output_item.done", item))
        self._items.append(item)
        self._growing = None
        return events

    def _end_text(self, growing: _Growing) -> list[bytes]:
        """Return the events that tell all of what an item says, once more."""
        if growing.kind == _TEXT:
            told = self._told("response.output_text.done", text=growing.text, **_said(_TEXT))
            return [told, self._on_part("response.content_part.done", part=text_part(growing.text))]
        if growing.kind == _THINKING:
            return [self._told("response.reasoning_text.done", text=growing.text, content_index=0)]
        text = self._custom.text(growing.name, growing.text)
        if text is None:
            return [self._told(f"{_CALL}.done", name=growing.name, arguments=growing.text)]
        delta = self._told(f"{_CUSTOM_CALL}.delta", delta=text)
        return [delta, self._told(f"{_CUSTOM_CALL}.done", input=text)]

    def _add(self, name: str, text: str, **more: object) -> bytes:
        if self._growing is not None:
            self._growing.text += text
        return self._told(f"{name}.delta", delta=text, **more)

    def _on_part(self, name: str, *, part: JsonObject) -> bytes:
        return self._told(name, content_index=0, part=part)

    def _told(self, event: str, /, **more: object) -> bytes:
        """Return an event about a part of the item that grows."""
        return self._event(event, {"item_id": self._item_id(), "output_index": len(self._items), **more})

    def _on_item(self, event: str, item: JsonObject) -> bytes:
        """Return an event about the item that begins or ends."""
        return self._event(event, {"output_index": len(self._items), "item": item})

    def _item(self, growing: _Growing, text: str, status: str) -> JsonObject:
        place = len(self._items)
        if growing.kind == _THINKING:
            return reasoning_item(self._by, text, place=place, status=status)
        if growing.kind == _TEXT:
            said = text if status == _DONE else None
            return message_item(self._by, said, place=place, status=status)
        taken = self._custom.text(growing.name, text)
        about = {"item_id": f"fc_{self._by.decision_id}_{place}", "status": status}
        if taken is None:
            return call_item(growing.call_id, growing.name, text, **about)
        return custom_call_item(growing.call_id, growing.name, taken, **about)

    def _item_id(self) -> str:
        if self._growing is None:
            return ""
        prefix = {_THINKING: "rs", _TEXT: "msg"}.get(self._growing.kind, "fc")
        return f"{prefix}_{self._by.decision_id}_{len(self._items)}"

    def _event(self, name: str, data: JsonObject) -> bytes:
        number, self._number = self._number, self._number + 1
        return sse(name, {"type": name, "sequence_number": number, **data})


def _said(kind: str) -> JsonObject:
    """Return what events of a text say beside it."""
    return {"content_index": 0, **({"logprobs": []} if kind == _TEXT else {})}
