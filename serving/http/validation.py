"""Bodies from outside, parsed without trust: whatever is wrong is named, nothing of the input is echoed."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from highwayman.env.errors import HighwaymanError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import JsonObject, Query

_LARGEST_INT = 2**63
_BRANCH = re.compile(
    r"^(str|bool|int|float|list\[.*|constrained-.*|function-.*)$"
)  # pydantic's names of a union's parts
_TOLD = 5
_Model = TypeVar("_Model", bound=BaseModel)


class BadRequest(HighwaymanError):
    """A body or header that cannot be followed; `param` names the offending part, `status` is 400, 413 or 422."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


class _Loose(BaseModel):
    """Checks what the router reads; every other field goes upstream as it came."""

    model_config = ConfigDict(strict=True, extra="allow", hide_input_in_errors=True)


class _Message(_Loose):
    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: str | list[dict[str, Any]] | None = None


class _Common(_Loose):
    model: Annotated[str, Field(min_length=1, max_length=256)]
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    temperature: Annotated[float, Field(ge=0)] | Annotated[int, Field(ge=0)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None  # OpenAI's newer name for it


class _ChatBody(_Common):
    messages: Annotated[list[_Message], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None


class _CompletionBody(_Common):
    prompt: str | list[str] | list[int] | list[list[int]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an answer: its body as parsed, and what the router reads of it."""

    body: JsonObject
    model: str
    query: Query
    chat: bool
    stream: bool
    wants_usage: bool  # of a stream
    user: str | None = None  # who asks, as the caller names them


def parse_chat(raw: bytes) -> Asked:
    """Return the request of `POST /v1/chat/completions`. Raises BadRequest."""
    body = parse_object(raw)
    checked = fitted(_ChatBody, body)
    texts = [_text(message.content) for message in checked.messages]
    limit = checked.max_completion_tokens or checked.max_tokens
    users = [text for message, text in zip(checked.messages, texts, strict=True) if message.role == "user"]
    query = Query(
        text=users[-1] if users else texts[-1],
        prompt_chars=sum(map(len, texts)),
        turns=len(texts),
        tools=len(checked.tools or ()),
        images=sum(_images(message.content) for message in checked.messages),
        json_mode=(checked.response_format or {}).get("type") in ("json_object", "json_schema"),
        max_tokens=limit,
        in_tool_loop=checked.messages[-1].role in ("tool", "function"),
    )
    return _asked(body, checked, query, chat=True)


def parse_completion(raw: bytes) -> Asked:
    """Return the request of `POST /v1/completions`. Raises BadRequest."""
    body = parse_object(raw)
    checked = fitted(_CompletionBody, body)
    prompts = checked.prompt if isinstance(checked.prompt, list) else [checked.prompt]
    if not prompts:
        raise BadRequest("prompt: must not be an empty list", param="prompt")
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    query = Query(
        text="\n".join(texts),
        prompt_chars=sum(map(len, texts)),
        max_tokens=checked.max_tokens,
        plain_text=bool(texts),
    )
    return _asked(body, checked, query, chat=False)


def parse_object(raw: bytes) -> JsonObject:
    """Return the JSON object in `raw`. Raises BadRequest for anything else, NaN and numbers too large included."""
    try:
        value = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    """Raise BadRequest for a number that JSON can write and hardly any server can read."""
    if isinstance(value, dict):
        for inner in value.values():
            _check_numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner)
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) > _LARGEST_INT
    ):
        raise BadRequest("The body holds a number that is too large.")


def fitted(kind: type[_Model], body: JsonObject, *, status: int = 400) -> _Model:
    """Return the body as `kind` has it. Raises BadRequest with this status, naming what is wrong."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        where, message = _worded(kind, problems)
        raise BadRequest(message, param=where or None, status=status) from None


def _worded(kind: type[BaseModel], problems: Sequence[Any]) -> tuple[str, str]:
    """Return where the first problem lies and all of them in words; the branches of a union make one."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        where = ".".join(str(part) for part in problem["loc"] if not _BRANCH.match(str(part)))
        words = _unknown(kind, where) if problem["type"] == "extra_forbidden" else problem["msg"]
        found.setdefault(where, []).append(words.replace("Input should be ", "must be "))
    told = [f"{where}: {', or '.join(dict.fromkeys(words))}" for where, words in list(found.items())[:_TOLD]]
    return next(iter(found)), "; ".join(told)


def _unknown(kind: type[BaseModel], key: str) -> str:
    return f"unknown key{did_you_mean(key, kind.model_fields)}"


def _asked(body: JsonObject, checked: _Common, query: Query, *, chat: bool) -> Asked:
    wants_usage = bool((checked.stream_options or {}).get("include_usage"))
    user = checked.user or checked.safety_identifier
    return Asked(body, checked.model, query, chat, bool(checked.stream), wants_usage, user)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content or ()]
    return "\n".join(part for part in parts if isinstance(part, str))


def _images(content: str | list[dict[str, Any]] | None) -> int:
    return sum(part.get("type") == "image_url" for part in content) if isinstance(content, list) else 0
