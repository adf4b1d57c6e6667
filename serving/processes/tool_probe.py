"""Asks a model server whether a model calls tools: one token, with a tool, and one without to compare."""

import json
from typing import Any, Final

import aiohttp

from highwayman.env.prompt.reading import read_chat
from highwayman.env.types import JsonObject
from highwayman.env.upstream.answers.tool_refusals import MAY_SPEAK_OF_TOOLS, refuses_tools

_READ_SHARE: Final = 0.5  # of the tool's tokens as estimated, by which the prompt must be longer if the model reads it
_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Looks up what the weather is like now in a town: temperature, wind, and whether it rains. "
        "Call it when somebody asks about the weather of today, and for nothing else.",
        "parameters": {
            "type": "object",
            "properties": {
                "town": {"type": "string", "description": "The name of the town, for example Lisbon or Ulan Bator."},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Of the temperature."},
            },
            "required": ["town"],
        },
    },
}


async def calls_tools(session: aiohttp.ClientSession, base: str, model: str) -> bool | None:
    """Return whether a model of the server at `base` calls tools, None where its answers do not tell.

    A server that refuses tools does not, nor does one that does not read them: some ignore what they do not know, and
    some have a chat template with no place for tools. Whether it read them is told by the prompt's tokens.
    """
    ask: JsonObject = {"model": model, "messages": [{"role": "user", "content": "Hello!"}], "max_tokens": 1}
    with_tool = {**ask, "tools": [_TOOL]}
    status, answer, text = await _post(session, base, with_tool)
    if status in MAY_SPEAK_OF_TOOLS and refuses_tools(text):
        return False
    if status != 200:
        return None
    if _tool_calls(answer):
        return True
    tokens = _prompt_tokens(answer)
    _, plain_answer, _ = await _post(session, base, ask)
    plain_tokens = _prompt_tokens(plain_answer)
    if tokens is None or plain_tokens is None:
        return None
    return tokens - plain_tokens >= _READ_SHARE * read_chat(with_tool).tools_tokens


async def _post(session: aiohttp.ClientSession, base: str, body: JsonObject) -> tuple[int, Any, str]:
    """Return the status of an answer, the answer if it is JSON, and its text; status 0 if there is none."""
    try:
        async with session.post(f"{base}/v1/chat/completions", json=body) as response:
            text = (await response.read()).decode("utf-8", "replace")
            status = response.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        return 0, None, ""
    try:
        return status, json.loads(text), text
    except (ValueError, RecursionError):
        return status, None, text


def _prompt_tokens(answer: Any) -> int | None:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) and tokens > 0 else None


def _tool_calls(answer: Any) -> bool:
    try:
        return bool(answer["choices"][0]["message"].get("tool_calls"))
    except (TypeError, LookupError, AttributeError):
        return False
