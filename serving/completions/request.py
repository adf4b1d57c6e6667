"""Requests for answers, as OpenAI's clients send them: what the router reads of them, and what goes on as it came."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from highwayman.env.prompt.reading import read_chat, read_completion
from highwayman.env.types import JsonObject, Query
from highwayman.serving.http.validation import BadRequest, parse_object, validate


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
class CompletionRequest:
    """One request for an answer: its body as parsed, and what the router reads of it."""

    body: JsonObject
    model: str
    query: Query
    chat: bool
    stream: bool
    wants_usage: bool  # of a stream
    user: str | None = None  # who asks, as the caller names them


def parse_chat(raw: bytes) -> CompletionRequest:
    """Return the request of `POST /v1/chat/completions`. Raises BadRequest."""
    body = parse_object(raw)
    checked = validate(_ChatBody, body)
    texts = [_text(message.content) for message in checked.messages]
    limit = checked.max_completion_tokens or checked.max_tokens
    users = [text for message, text in zip(checked.messages, texts, strict=True) if message.role == "user"]
    reading = read_chat(body)
    query = Query(
        text=users[-1] if users else texts[-1],
        prompt_chars=sum(map(len, texts)),
        turns=len(texts),
        tools=len(checked.tools or ()),
        images=sum(_images(message.content) for message in checked.messages),
        json_mode=(checked.response_format or {}).get("type") in ("json_object", "json_schema"),
        max_tokens=limit,
        in_tool_loop=checked.messages[-1].role in ("tool", "function"),
        prompt_tokens=reading.tokens,
        modalities=reading.modalities,
    )
    return _completion_request(body, checked, query, chat=True)


def parse_completion(raw: bytes) -> CompletionRequest:
    """Return the request of `POST /v1/completions`. Raises BadRequest."""
    body = parse_object(raw)
    checked = validate(_CompletionBody, body)
    prompts = checked.prompt if isinstance(checked.prompt, list) else [checked.prompt]
    if not prompts:
        raise BadRequest("prompt: must not be an empty list", param="prompt")
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    query = Query(
        text="\n".join(texts),
        prompt_chars=sum(map(len, texts)),
        max_tokens=checked.max_tokens,
        plain_text=bool(texts),
        prompt_tokens=read_completion(body).tokens,
    )
    return _completion_request(body, checked, query, chat=False)


def _completion_request(body: JsonObject, checked: _Common, query: Query, *, chat: bool) -> CompletionRequest:
    wants_usage = bool((checked.stream_options or {}).get("include_usage"))
    user = checked.user or checked.safety_identifier
    return CompletionRequest(body, checked.model, query, chat, bool(checked.stream), wants_usage, user)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content or ()]
    return "\n".join(part for part in parts if isinstance(part, str))


def _images(content: str | list[dict[str, Any]] | None) -> int:
    return sum(part.get("type") == "image_url" for part in content) if isinstance(content, list) else 0
