"""From a chat's answer to a response of OpenAI's Responses."""

from dataclasses import dataclass

from highwayman.env.types import JsonObject
from highwayman.serving.protocols.chat_answer import (
    call_id,
    created_at,
    first_choice,
    function_of,
    reasoning_of,
    said_text,
    tool_calls_of,
    usage_of,
)
from highwayman.serving.protocols.protocol import AnsweredBy
from highwayman.serving.protocols.responses.stream import ResponseStream
from highwayman.serving.protocols.responses.tools import CustomTools
from highwayman.serving.protocols.responses.wire import (
    ResponseHead,
    call_item,
    custom_call_item,
    message_item,
    reasoning_item,
)

_DONE = "completed"


@dataclass(frozen=True, slots=True)
class ResponseAnswers:
    """Makes responses of a chat's answers."""

    echoed: JsonObject
    custom: CustomTools

    def whole(self, answer: JsonObject, by: AnsweredBy) -> JsonObject:
        """Return the response of a whole answer."""
        choice, message = first_choice(answer, "message")
        items: list[JsonObject] = []
        if thought := reasoning_of(message):
            items.append(reasoning_item(by, thought, place=0, status=_DONE))
        if text := said_text(message, "content", "refusal"):
            items.append(message_item(by, text, place=len(items), status=_DONE))
        for place, call in enumerate(tool_calls_of(message)):
            items.append(self._call(call, call_id(call, by, place), f"fc_{by.decision_id}_{len(items)}"))
        head = ResponseHead(by, created_at(answer), self.echoed)
        return head.ended(str(choice.get("finish_reason")), items, usage_of(answer))

    def stream(self, by: AnsweredBy) -> ResponseStream:
        """Return what translates a stream."""
        return ResponseStream(by, self.echoed, self.custom)

    def _call(self, call: JsonObject, name_of_call: str, item_id: str) -> JsonObject:
        name, arguments = function_of(call)
        text = self.custom.text(name, arguments)
        if text is None:
            return call_item(name_of_call, name, arguments, item_id=item_id, status=_DONE)
        return custom_call_item(name_of_call, name, text, item_id=item_id, status=_DONE)
