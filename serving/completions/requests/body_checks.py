"""What long lists of a body are checked for, by hand: element after element, and no further than the first few faults.

A model of pydantic builds a problem for every element and every branch that does not fit, in one call.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic_core import PydanticCustomError

from highwayman.env.types import JsonObject
from highwayman.serving.http.validation import Problem

_LONGEST_ROLE = 64
_REQUIRED, _TEXT, _LIST, _OBJECT = (
    "Field required",
    "must be a valid string",
    "must be a valid list",
    "must be an object",
)

# What is checked here, as a schema: for the page of routes, and for whoever makes requests from it.
MESSAGES_SCHEMA: Final[JsonObject] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"type": "string", "minLength": 1, "maxLength": _LONGEST_ROLE},
            "content": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]
            },
        },
    },
}
TOOLS_SCHEMA: Final[JsonObject] = {"anyOf": [{"type": "array", "items": {"type": "object"}}, {"type": "null"}]}
_TOKENS: Final[JsonObject] = {"type": "array", "minItems": 1, "items": {"type": "integer"}}
PROMPT_SCHEMA: Final[JsonObject] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "items": {"type": "string"}},
        _TOKENS,
        {"type": "array", "minItems": 1, "items": _TOKENS},
    ]
}


def optional_object(value: Any) -> Any:
    """Return the value if it is an object or None; what it holds is not looked at. Raises PydanticCustomError."""
    if value is None or isinstance(value, dict):
        return value
    raise PydanticCustomError("object_type", "Input should be a valid dictionary")


def chat_problems(body: JsonObject, *, most_messages: int) -> Iterator[Problem]:
    """Yield what is wrong with the messages and the tools of a chat's body, which may lack them."""
    tools = body.get("tools")
    if tools is not None:
        if isinstance(tools, list):
            yield from ((f"tools.{place}", _OBJECT) for place, tool in enumerate(tools) if not isinstance(tool, dict))
        else:
            yield "tools", _LIST
    if "messages" in body:  # that it is missing is told with the other fields
        yield from _messages_problems(body["messages"], most_messages)


def _messages_problems(messages: Any, most_messages: int) -> Iterator[Problem]:
    if not isinstance(messages, list):
        yield "messages", _LIST
    elif not messages:
        yield "messages", "must have at least one message"
    elif len(messages) > most_messages:
        yield "messages", f"must have at most {most_messages} messages, not {len(messages)}"
    else:
        for place, message in enumerate(messages):
            if type(message) is dict and type(message.get("content")) is str:
                role = message.get("role")
                if type(role) is str and 0 < len(role) <= _LONGEST_ROLE:  # as nearly all are
                    continue
            yield from _message_problems(f"messages.{place}", message)


def _message_problems(where: str, message: Any) -> Iterator[Problem]:
    if not isinstance(message, dict):
        yield where, _OBJECT
        return
    role = message.get("role")
    if "role" not in message:
        yield f"{where}.role", _REQUIRED
    elif not isinstance(role, str):
        yield f"{where}.role", _TEXT
    elif not 0 < len(role) <= _LONGEST_ROLE:
        yield f"{where}.role", f"must have 1 to {_LONGEST_ROLE} characters"
    content = message.get("content")
    if isinstance(content, list):
        for place, part in enumerate(content):
            if not isinstance(part, dict):
                yield f"{where}.content.{place}", _OBJECT
    elif content is not None and not isinstance(content, str):
        yield f"{where}.content", f"{_TEXT}, or {_LIST}"


def prompt_problems(body: JsonObject) -> Iterator[Problem]:
    """Yield what is wrong with the prompt of a completion's body, which may lack it."""
    prompt = body.get("prompt", "")
    if isinstance(prompt, str):
        return
    if not isinstance(prompt, list):
        yield "prompt", f"{_TEXT}, or {_LIST}"
    elif not prompt:
        yield "prompt", "must not be an empty list"
    else:
        yield from _prompts_problems(prompt)


def _prompts_problems(prompts: list[Any]) -> Iterator[Problem]:
    """Yield where a list is not what its first element says: all texts, all token ids, or all lists of these."""
    first = prompts[0]
    if isinstance(first, str):
        yield from ((f"prompt.{place}", _TEXT) for place, prompt in enumerate(prompts) if not isinstance(prompt, str))
    elif isinstance(first, list):
        for place, ids in enumerate(prompts):
            if isinstance(ids, list):
                yield from _token_problems(f"prompt.{place}", ids)
            else:
                yield f"prompt.{place}", _LIST
    else:
        yield from _token_problems("prompt", prompts)


def _token_problems(where: str, ids: list[Any]) -> Iterator[Problem]:
    for place, token in enumerate(ids):
        if type(token) is not int:  # true and false are integers of Python's
            yield f"{where}.{place}", "must be a token id, or a text in a list of texts"
