"""From a request of Anthropic's Messages to a chat's."""

import json
from collections.abc import Mapping
from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import BadRequest, BodyLimits, parse_object
from highwayman.serving.protocols.messages.answer import MessageAnswers
from highwayman.serving.protocols.messages.blocks import assistant_message, system_text, user_messages
from highwayman.serving.protocols.protocol import LeftOut, TranslatedRequest, function_tool, objects, text_of

_SAME: Final = ("model", "stream", "temperature", "top_p", "top_k")  # said alike in both
_KNOWN: Final = frozenset(
    {*_SAME, *("messages", "system", "max_tokens", "stop_sequences", "tools", "tool_choice", "metadata", "thinking")}
    | {"output_config", "output_format"}
)
_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_LONGEST_USER: Final = 512


def translate(raw: bytes, limits: BodyLimits) -> TranslatedRequest:
    """Return the chat that a body of `POST /v1/messages` asks for. Raises BadRequest."""
    body = parse_object(raw, limits)
    if body.get("max_tokens") is None:
        raise BadRequest("max_tokens: Field required", param="max_tokens")
    return translated(body)


def translate_count(raw: bytes, limits: BodyLimits) -> TranslatedRequest:
    """Return the chat whose tokens a body of `POST /v1/messages/count_tokens` asks for. Raises BadRequest."""
    return translated(parse_object(raw, limits))


def translated(body: JsonObject) -> TranslatedRequest:
    """Return the chat that a parsed body asks for. Raises BadRequest."""
    left_out, metadata = LeftOut(), _object(body, "metadata")
    left_out.add_keys(body, _KNOWN)
    chat: JsonObject = {key: body[key] for key in _SAME if body.get(key) is not None}
    if body.get("max_tokens") is not None:
        chat["max_tokens"] = body["max_tokens"]
    chat["messages"] = _messages(body, left_out)
    stops = body.get("stop_sequences")
    if stops:
        if not (isinstance(stops, list) and all(isinstance(stop, str) for stop in stops)):
            raise BadRequest("stop_sequences: must be a list of strings", param="stop_sequences")
        chat["stop"] = stops
    chat |= _tools(body, left_out) | _format(body, left_out) | _person(metadata)
    if body.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    thinks = _object(body, "thinking").get("type", "disabled") != "disabled"
    if thinks:  # how much an arm thinks is what its profile says
        left_out.add("thinking")
    answers = MessageAnswers(tuple(stops or ()), shows_thinking=thinks)
    return TranslatedRequest(chat, answers, left_out.names(), session=_session(metadata.get("user_id")))


def _messages(body: JsonObject, left_out: LeftOut) -> list[JsonObject]:
    messages: list[JsonObject] = []
    system = system_text(body.get("system"), "system")
    if system:
        messages.append({"role": "system", "content": system})
    for place, message in enumerate(objects(body.get("messages"), "messages")):
        where, content = f"messages.{place}", message.get("content")
        role = message.get("role")
        if role == "user":
            messages += user_messages(content, f"{where}.content", left_out)
        elif role == "assistant":
            messages.append(assistant_message(content, f"{where}.content", left_out))
        elif role == "system":
            messages.append({"role": "system", "content": system_text(content, f"{where}.content")})
        else:
            raise BadRequest(f"{where}.role: must be user, assistant or system", param=f"{where}.role")
    if not body["messages"]:
        raise BadRequest("messages: must have at least one message", param="messages")
    return messages


def _tools(body: JsonObject, left_out: LeftOut) -> JsonObject:
    """Return the tools and the choice among them. What runs at Anthropic, no arm can: it is left out, if it may be."""
    tools = objects(body.get("tools") or [], "tools")
    offered: list[JsonObject] = []
    for place, tool in enumerate(tools):
        if tool.get("type") in (None, "custom"):
            name = text_of(tool, "name", f"tools.{place}")
            function = {"name": name, "description": tool.get("description"), "strict": tool.get("strict")}
            offered.append(function_tool({**function, "parameters": tool.get("input_schema")}))
        else:
            left_out.add(f"tools.{tool['type']}")
    choice = _object(body, "tool_choice")
    kind = choice.get("type", "auto")
    if kind not in (*_CHOICES, "tool"):
        raise BadRequest("tool_choice.type: must be auto, any, tool or none", param="tool_choice.type")
    named = text_of(choice, "name", "tool_choice") if kind == "tool" else None
    names = [tool["function"]["name"] for tool in offered]
    if tools and (not offered or (named is not None and named not in names)):
        raise BadRequest(
            "tools: what is to be called runs at Anthropic, and no arm has it. Offer a tool of your own instead: "
            "name, description and input_schema.",
            param="tools",
        )
    if not offered:
        return {}
    chosen = _CHOICES[kind] if named is None else {"type": "function", "function": {"name": named}}
    parallel = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    return {"tools": offered, **({"tool_choice": chosen} if choice else {}), **parallel}


def _format(body: JsonObject, left_out: LeftOut) -> JsonObject:
    """Return the schema that the answer must keep to; how hard to try is what an arm's profile says."""
    config = _object(body, "output_config")
    for key in config.keys() - {"format"}:
        left_out.add(f"output_config.{key}")
    form = config.get("format") or body.get("output_format")
    if not isinstance(form, Mapping):
        return {}
    if form.get("type") != "json_schema" or not isinstance(form.get("schema"), Mapping):
        raise BadRequest("output_config.format: must be {type: json_schema, schema: ...}", param="output_config.format")
    schema = {"name": "answer", "schema": form["schema"], "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _person(metadata: JsonObject) -> JsonObject:
    """Return who asks, and what else is said of the request."""
    user = metadata.get("user_id")
    rest = {key: value for key, value in metadata.items() if key != "user_id"}
    named = {"user": user[:_LONGEST_USER]} if isinstance(user, str) else {}
    return {**named, **({"metadata": rest} if rest else {})}


def _session(user: Any) -> str | None:
    """Return the session that Claude Code writes into the person's id, in its older form or its newer one."""
    if not isinstance(user, str) or len(user) > _LONGEST_USER:
        return None
    if user.startswith("{"):
        try:
            session = json.loads(user).get("session_id")
        except (ValueError, RecursionError):
            return None
        return session if isinstance(session, str) else None
    return user.rpartition("_session_")[2] if "_session_" in user else None


def _object(body: JsonObject, key: str) -> JsonObject:
    """Return the object under a key, empty without one. Raises BadRequest for anything else."""
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{key}: must be an object", param=key)
    return value
