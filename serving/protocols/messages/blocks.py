"""From Anthropic's blocks of content to the messages of a chat."""

import json
import re
from typing import Any, Final

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.protocols.protocol import LeftOut, objects, plain_content, text_of

# Claude Code's first line or block, of no meaning to a model. It differs in each request, so that what a server keeps
# of prompts would be of no use: github.com/vllm-project/vllm/pull/36829 and others leave it out, too.
_BILLING: Final = re.compile(r"\s*x-anthropic-billing-header:[^\n]*\n?")


def system_text(system: Any, where: str) -> str:
    """Return the instructions, given whole or in blocks. Raises BadRequest."""
    if system is None:
        return ""
    texts = [system] if isinstance(system, str) else [text_of(block, "text", where) for block in objects(system, where)]
    return "\n".join(text for text in (_BILLING.sub("", text, count=1) for text in texts) if text)


def user_messages(content: Any, where: str, left_out: LeftOut) -> list[JsonObject]:
    """Return a person's message, behind the results of tools that it brings. Raises BadRequest."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[JsonObject] = []
    parts: list[JsonObject] = []
    for place, block in enumerate(objects(content, where)):
        if block.get("type") == "tool_result":
            result, shown = _tool_result(block, f"{where}.{place}", left_out)
            results.append(result)
            parts += shown
        else:
            parts += _parts(block, f"{where}.{place}", left_out)
    if results and not parts:
        return results
    return [*results, {"role": "user", "content": plain_content(parts)}]


def assistant_message(content: Any, where: str, left_out: LeftOut) -> JsonObject:
    """Return an earlier answer; what was thought for it is left out. Raises BadRequest."""
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    texts: list[str] = []
    calls: list[JsonObject] = []
    for place, block in enumerate(objects(content, where)):
        kind = block.get("type")
        if kind == "text":
            texts.append(text_of(block, "text", f"{where}.{place}"))
        elif kind == "tool_use":
            calls.append(_call(block, f"{where}.{place}"))
        else:
            left_out.add(kind)
    message: JsonObject = {"role": "assistant", "content": "".join(texts) or None}
    return {**message, "tool_calls": calls} if calls else {**message, "content": "".join(texts)}


def _call(block: JsonObject, where: str) -> JsonObject:
    arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
    function = {"name": text_of(block, "name", where), "arguments": arguments}
    return {"id": text_of(block, "id", where), "type": "function", "function": function}


def _tool_result(block: JsonObject, where: str, left_out: LeftOut) -> tuple[JsonObject, list[JsonObject]]:
    """Return a tool's result, and the pictures in it: only a person's message may hold these in a chat."""
    content = block.get("content")
    parts: list[JsonObject] = []
    if isinstance(content, list):
        for place, inner in enumerate(objects(content, f"{where}.content")):
            parts += _parts(inner, f"{where}.content.{place}", left_out)
    texts = [part["text"] for part in parts if part["type"] == "text"]
    said = content if isinstance(content, str) else "\n".join(texts)
    result = {"role": "tool", "tool_call_id": text_of(block, "tool_use_id", where), "content": said}
    return result, [part for part in parts if part["type"] != "text"]


def _parts(block: JsonObject, where: str, left_out: LeftOut) -> list[JsonObject]:
    """Return the parts that a chat has for a block. Raises BadRequest for one that would be missed."""
    kind = block.get("type")
    if kind == "text":
        return [{"type": "text", "text": text_of(block, "text", where)}]
    if kind == "image":
        return [{"type": "image_url", "image_url": {"url": _image_url(block.get("source"), where)}}]
    if kind == "document":
        return _document(block, where, left_out)
    if kind == "search_result":
        head = [{"type": "text", "text": str(block[key])} for key in ("title", "source") if block.get(key)]
        return [*head, *_nested(block.get("content"), where, left_out)]
    raise BadRequest(
        f"{where}.type: no arm reads this; text, image, document, search_result, tool_use and tool_result are read",
        param=f"{where}.type",
    )


def _nested(content: Any, where: str, left_out: LeftOut) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks = objects(content, f"{where}.content")
    return [part for place, block in enumerate(blocks) for part in _parts(block, f"{where}.content.{place}", left_out)]


def _image_url(source: Any, where: str) -> str:
    source = source if isinstance(source, dict) else {}
    if source.get("type") == "base64":
        media, data = (text_of(source, key, f"{where}.source") for key in ("media_type", "data"))
        return f"data:{media};base64,{data}"
    if source.get("type") == "url":
        return text_of(source, "url", f"{where}.source")
    raise BadRequest(f"{where}.source.type: must be base64 or url; no files are kept here", param=f"{where}.source")


def _document(block: JsonObject, where: str, left_out: LeftOut) -> list[JsonObject]:
    source = block.get("source")
    source = source if isinstance(source, dict) else {}
    title = [{"type": "text", "text": block["title"]}] if isinstance(block.get("title"), str) else []
    if source.get("type") == "text":
        return [*title, {"type": "text", "text": text_of(source, "data", f"{where}.source")}]
    if source.get("type") == "content":
        return [*title, *_nested(source.get("content"), f"{where}.source", left_out)]
    if source.get("type") == "base64":
        data = f"data:{source.get('media_type', 'application/pdf')};base64,{text_of(source, 'data', f'{where}.source')}"
        name = block.get("title") if isinstance(block.get("title"), str) else "document.pdf"
        return [{"type": "file", "file": {"filename": name, "file_data": data}}]
    raise BadRequest(
        f"{where}.source.type: must be text, content or base64; nothing is fetched or kept here",
        param=f"{where}.source",
    )
