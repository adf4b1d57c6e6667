"""Requests for answers, as OpenAI's clients send them: what the router reads of them, and what goes on as it came."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from highwayman.env.json_pieces import PIECE_BYTES
from highwayman.env.prompt.media_tokens import image_payload
from highwayman.env.prompt.modalities import modality_of, parts_of
from highwayman.env.prompt.reading import read_chat, read_completion
from highwayman.env.quick_dataclass import quick_dataclass
from highwayman.env.types import JsonObject, Query
from highwayman.serving.completions.answer_cache.answer_key import AnswerKey
from highwayman.serving.completions.requests.body_checks import (
    MESSAGES_SCHEMA,
    PROMPT_SCHEMA,
    TOOLS_SCHEMA,
    chat_problems,
    optional_object,
    prompt_problems,
)
from highwayman.serving.http.validation import DEFAULT_LIMITS, BodyLimits, parse_object, validate

CHAT_PATH, COMPLETION_PATH = "/v1/chat/completions", "/v1/completions"
_JSON_MODES = ("json_object", "json_schema")  # of `response_format`
_MAY_GO_WITHOUT_TOOLS = (None, "auto", "none")  # of `tool_choice`; others want a tool to be called


class _Loose(BaseModel):
    """Checks what the router reads; every other field goes upstream as it came."""

    model_config = ConfigDict(strict=True, extra="allow", hide_input_in_errors=True)


_OptionalObject = Annotated[
    Any, PlainValidator(optional_object), WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}]})
]


class _Common(_Loose):
    model: Annotated[str, Field(min_length=1, max_length=256)]
    stream: bool | None = None
    stream_options: _OptionalObject = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    temperature: Annotated[float, Field(ge=0)] | Annotated[int, Field(ge=0)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None  # OpenAI's newer name for it


class _ChatBody(_Common):
    messages: Annotated[Any, WithJsonSchema(MESSAGES_SCHEMA)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: Annotated[Any, WithJsonSchema(TOOLS_SCHEMA)] = None
    response_format: _OptionalObject = None


class _CompletionBody(_Common):
    prompt: Annotated[Any, WithJsonSchema(PROMPT_SCHEMA)]


BODY_MODELS: Final[Mapping[str, type[BaseModel]]] = {
    CHAT_PATH: _ChatBody,
    COMPLETION_PATH: _CompletionBody,
}


@quick_dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One request for an answer: its body as parsed, and what the router reads of it."""

    body: JsonObject
    model: str
    query: Query
    chat: bool
    stream: bool
    wants_usage: bool  # of a stream
    user: str | None = None  # who asks, as the caller names them
    size_bytes: int = 0
    answer_key: AnswerKey | None = None  # under which its answer may be stored; None: it may not
    placeholders: Mapping[str, str] = field(default_factory=dict, repr=False)  # in the body, and what they stand for

    @property
    def is_large(self) -> bool:
        """Whether reading or writing it takes so long that it is not done on the event loop."""
        return self.size_bytes > PIECE_BYTES


def parse_chat(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> CompletionRequest:
    """Return the request of `POST /v1/chat/completions`. Raises BadRequest."""
    body = parse_object(raw, limits)
    checked = validate(_ChatBody, body, checks=chat_problems(body, most_messages=limits.messages))
    messages: list[JsonObject] = body["messages"]
    limit = checked.max_completion_tokens or checked.max_tokens
    text, chars, images = _said(messages)
    reading = read_chat(body)
    query = Query(
        text=text,
        prompt_chars=chars,
        turns=len(messages),
        tools=len(checked.tools or ()),
        images=images,
        json_mode=bool(checked.response_format) and checked.response_format.get("type") in _JSON_MODES,
        max_tokens=limit,
        in_tool_loop=messages[-1]["role"] in ("tool", "function"),
        prompt_tokens=reading.tokens,
        script=reading.script,
        modalities=reading.modalities,
        tools_optional=body.get("tool_choice") in _MAY_GO_WITHOUT_TOOLS,
        tools_tokens=reading.tools_tokens,
        pictures=_pictures(messages) if "image" in reading.modalities else (),
        answers=checked.n or 1,
    )
    return _completion_request(body, checked, query, chat=True, size_bytes=len(raw))


def parse_completion(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> CompletionRequest:
    """Return the request of `POST /v1/completions`. Raises BadRequest."""
    body = parse_object(raw, limits)
    checked = validate(_CompletionBody, body, checks=prompt_problems(body))
    prompts = checked.prompt if isinstance(checked.prompt, list) else [checked.prompt]
    count = 1 if prompts and isinstance(prompts[0], int) else len(prompts)  # of one prompt, token ids
    texts = [prompt for prompt in prompts if isinstance(prompt, str)]
    reading = read_completion(body)
    query = Query(
        text="\n".join(texts),
        prompt_chars=sum(map(len, texts)),
        max_tokens=checked.max_tokens,
        plain_text=bool(texts),
        prompt_tokens=reading.tokens,
        script=reading.script,
        answers=max(checked.n or 1, best_of if isinstance(best_of := body.get("best_of"), int) else 1) * count,
    )
    return _completion_request(body, checked, query, chat=False, size_bytes=len(raw))


RequestParser = Callable[[bytes, BodyLimits], CompletionRequest]
PARSERS: Final[Mapping[str, RequestParser]] = {
    CHAT_PATH: parse_chat,
    COMPLETION_PATH: parse_completion,
}


def _completion_request(
    body: JsonObject, checked: _Common, query: Query, *, chat: bool, size_bytes: int
) -> CompletionRequest:
    wants_usage = bool(checked.stream_options and checked.stream_options.get("include_usage"))
    user = checked.user or checked.safety_identifier
    return CompletionRequest(body, checked.model, query, chat, bool(checked.stream), wants_usage, user, size_bytes)


def _said(messages: list[JsonObject]) -> tuple[str, int, int]:
    """Return the newest text of the user's, or else of anybody's; the characters of all texts; and how many images."""
    text, users_text, chars, images = "", None, 0, 0
    for message in messages:
        content = message.get("content")
        text = content if isinstance(content, str) else _text(content)
        chars += len(text)
        if isinstance(content, list):
            images += sum(part.get("type") == "image_url" for part in content)
        if message["role"] == "user":
            users_text = text
    return text if users_text is None else users_text, chars, images


def _text(content: list[dict[str, Any]] | None) -> str:
    parts = [part.get("text") for part in content or ()]
    return "\n".join(part for part in parts if isinstance(part, str))


def _pictures(messages: list[JsonObject]) -> tuple[str, ...]:
    """Return the images of all messages, in base64; an empty text for one of which only the address is known."""
    parts = (part for message in messages for part in parts_of(message.get("content")))
    return tuple(image_payload(part) for part in parts if modality_of(part) == "image")
