"""From the items of a Responses request to the messages of a chat."""

from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.protocols.protocol import LeftOut, objects, plain_content, text_of
from highwayman.serving.protocols.responses.tools import custom_arguments

_ROLES: Final = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_TEXTS: Final = ("input_text", "output_text", "text", "summary_text")


def chat_messages(given: Any, instructions: Any, left_out: LeftOut) -> list[JsonObject]:
    """Return the messages of a chat; instructions that begin it are one message. Raises BadRequest."""
    messages: list[JsonObject] = []
    if instructions is not None:
        if not isinstance(instructions, str):
            raise BadRequest("instructions: must be a string", param="instructions")
        messages.append({"role": "system", "content": instructions})
    if given is None:
        raise BadRequest("input: Field required", param="input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else objects(given, "input")
    for place, item in enumerate(items):
        _add(messages, item, f"input.{place}", left_out)
    if not any(message["role"] != "system" for message in messages):
        raise BadRequest("input: must have at least one message", param="input")
    return _with_one_beginning(messages)


def _add(messages: list[JsonObject], item: JsonObject, where: str, left_out: LeftOut) -> None:
    kind = item.get("type", "message")
    if kind == "message":
        messages.append(_message(item, where))
    elif kind == "function_call":
        _add_call(messages, item, text_of(item, "arguments", where), where)
    elif kind == "custom_tool_call":
        _add_call(messages, item, custom_arguments(text_of(item, "input", where)), where)
    elif kind in ("function_call_output", "custom_tool_call_output"):
        messages += _output(item, where)
    elif kind == "item_reference":
        raise BadRequest(f"{where}: this router keeps no items; send the item itself", param=where)
    else:  # what a model thought, or what ran at OpenAI
        left_out.add(f"input.{kind}")


def _message(item: JsonObject, where: str) -> JsonObject:
    role = _ROLES.get(str(item.get("role")))
    if role is None:
        raise BadRequest(f"{where}.role: must be user, assistant, system or developer", param=f"{where}.role")
    content = item.get("content")
    if isinstance(content, str):
        return {"role": role, "content": content}
    return {"role": role, "content": plain_content(_parts(content, f"{where}.content"))}


def _add_call(messages: list[JsonObject], item: JsonObject, arguments: str, where: str) -> None:
    """Add a call to the answer that made it; several of one answer stand there together."""
    function = {"name": text_of(item, "name", where), "arguments": arguments}
    call = {"id": text_of(item, "call_id", where), "type": "function", "function": function}
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _output(item: JsonObject, where: str) -> list[JsonObject]:
    """Return a tool's result, and behind it the pictures in it: only a person's message may hold these in a chat."""
    output = item.get("output")
    parts = [] if isinstance(output, str) else _parts(output, f"{where}.output")
    shown = [part for part in parts if part["type"] != "text"]
    said = output if isinstance(output, str) else "\n".join(part["text"] for part in parts if part["type"] == "text")
    result = {"role": "tool", "tool_call_id": text_of(item, "call_id", where), "content": said}
    return [result, *([{"role": "user", "content": shown}] if shown else [])]


def _parts(content: Any, where: str) -> list[JsonObject]:
    return [_part(part, f"{where}.{place}") for place, part in enumerate(objects(content, where))]


def _part(part: JsonObject, where: str) -> JsonObject:
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": text_of(part, "text", where)}
    if kind == "refusal":
        return {"type": "text", "text": text_of(part, "refusal", where)}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        detail = {"detail": part["detail"]} if isinstance(part.get("detail"), str) else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file" and isinstance(part.get("file_data"), str):
        return {"type": "file", "file": {key: part[key] for key in ("filename", "file_data") if key in part}}
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    raise BadRequest(
        f"{where}: must be input_text, output_text, input_image with image_url, input_file with file_data, or "
        "input_audio; no files are kept here",
        param=where,
    )


def _with_one_beginning(messages: list[JsonObject]) -> list[JsonObject]:
    """Return the messages with all instructions that begin them in one: many models take no second one."""
    count = next(place for place, message in enumerate(messages) if message["role"] != "system")
    if count < 2 or not all(isinstance(message["content"], str) for message in messages[:count]):
        return messages
    system = "\n\n".join(message["content"] for message in messages[:count])
    return [{"role": "system", "content": system}, *messages[count:]]
