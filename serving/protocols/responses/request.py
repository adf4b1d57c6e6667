"""From a request of OpenAI's Responses to a chat's."""

from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import BadRequest, BodyLimits, parse_object
from highwayman.serving.protocols.protocol import LeftOut, TranslatedRequest
from highwayman.serving.protocols.responses.answer import ResponseAnswers
from highwayman.serving.protocols.responses.items import chat_messages
from highwayman.serving.protocols.responses.tools import CustomTools, offered_tools
from highwayman.serving.protocols.responses.wire import ECHOED

_SAME: Final = (
    *("model", "stream", "temperature", "top_p", "parallel_tool_calls", "metadata"),
    *("user", "safety_identifier", "prompt_cache_key"),
)
_KNOWN: Final = frozenset(
    {*_SAME, *("input", "instructions", "tools", "tool_choice", "text", "max_output_tokens", "top_logprobs")}
    | {*("store", "stream_options", "truncation", "include", "previous_response_id", "conversation", "background")}
)
_KEPT_NOWHERE: Final = (
    "{key}: this router keeps no answers. Send the whole conversation in `input`, with the items of earlier answers "
    "as they came, and `store: false`."
)


def translate(raw: bytes, limits: BodyLimits) -> TranslatedRequest:
    """Return the chat that a body of `POST /v1/responses` asks for. Raises BadRequest."""
    body, left_out = parse_object(raw, limits), LeftOut()
    _refuse_state(body)
    left_out.add_keys(body, _KNOWN)
    chat: JsonObject = {key: body[key] for key in _SAME if body.get(key) is not None}
    tools, custom = offered_tools(body, left_out)
    chat["messages"] = chat_messages(body.get("input"), body.get("instructions"), left_out)
    chat |= tools | _format(body, left_out)
    if body.get("max_output_tokens") is not None:
        chat["max_tokens"] = body["max_output_tokens"]
    if body.get("top_logprobs"):
        left_out.add("top_logprobs")
    if body.get("include"):
        left_out.add("include")
    if body.get("store"):
        left_out.add("store")
    if body.get("truncation") not in (None, "disabled"):
        left_out.add("truncation")
    if body.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    echoed = {key: body[key] for key in ECHOED if body.get(key) is not None}
    return TranslatedRequest(chat, ResponseAnswers(echoed, CustomTools(custom)), left_out.names())


def _refuse_state(body: JsonObject) -> None:
    """Raise BadRequest for what needs something to be kept between requests."""
    for key in ("previous_response_id", "conversation", "prompt"):
        if body.get(key) is not None:
            raise BadRequest(_KEPT_NOWHERE.format(key=key), param=key)
    if body.get("background"):
        raise BadRequest("background: answers are given at once here; leave it out", param="background")


def _format(body: JsonObject, left_out: LeftOut) -> JsonObject:
    text: Any = body.get("text")
    if text is None:
        return {}
    if not isinstance(text, dict):
        raise BadRequest("text: must be an object", param="text")
    for key in text.keys() - {"format"}:
        left_out.add(f"text.{key}")
    form = text.get("format")
    kind = form.get("type") if isinstance(form, dict) else None
    if form is None or kind == "text":
        return {}
    if kind == "json_object":
        return {"response_format": {"type": "json_object"}}
    if kind != "json_schema" or not isinstance(form.get("schema"), dict):
        raise BadRequest("text.format: must be text, json_object, or json_schema with a schema", param="text.format")
    schema = {key: value for key, value in form.items() if key != "type" and value is not None}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", **schema}}}
