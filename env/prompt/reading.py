"""All that a model reads of a request's body, in tokens: messages, tools, schemas, earlier calls, media, token ids."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from highwayman.env.prompt.media_tokens import media_tokens
from highwayman.env.prompt.modalities import modality_of, parts_of
from highwayman.env.prompt.text_tokens import estimate_text_tokens
from highwayman.env.quick_dataclass import quick_dataclass

_TOKENS_PER_MESSAGE: Final = 4  # the chat template's role marks
_TOKENS_PER_CALL: Final = 8  # and those around a call of a tool
_MOST_MEASURED: Final = 256  # media of one modality
_ROLE_AND_CONTENT: Final = 2  # keys of a message that has no others
_MESSAGE_TEXTS: Final = ("name", "refusal", "reasoning", "reasoning_content", "thinking")
_MESSAGE_OBJECTS: Final = ("reasoning_details", "function_call")
_BODY_OBJECTS: Final = ("tools", "functions", "documents")


@quick_dataclass(frozen=True, slots=True)
class Reading:
    """What a model will read of one request."""

    tokens: int  # estimated, at least 1
    script: str = ""  # of most of its text; empty: Latin
    modalities: frozenset[str] = frozenset()  # beside text
    tools_tokens: int = 0  # of all tokens, those of the tools offered


def read_chat(body: Mapping[str, Any]) -> Reading:
    """Return what a model reads of a chat's body, whose messages are objects; the time is linear in its size.

    Counted are every message's texts, the names and arguments of the tools that earlier answers called, their
    reasoning, media of all messages, the tools offered, and a schema that the answer must keep to. All texts are
    counted as one: many short ones cost no more time than a long one.
    """
    messages = body["messages"]
    media = _Media()
    texts: list[str] = []
    tokens = _TOKENS_PER_MESSAGE * len(messages)
    for message in messages:
        content = message.get("content")
        if len(message) == _ROLE_AND_CONTENT and isinstance(content, str) and "role" in message:
            texts.append(content)  # as nearly all are
            continue
        texts += _message_texts(message)
        tokens += _TOKENS_PER_CALL * len(_calls(message))
        for part in parts_of(content):
            modality = modality_of(part)
            if modality is None:
                texts.append(_part_text(part))
            else:
                media.add(part, modality)
        if message.get("audio"):  # an answer that was spoken, referred to by its id
            media.add({}, "audio")
    for key in _BODY_OBJECTS:
        if value := body.get(key):
            texts.append(_json(value))
    if "response_format" in body:
        texts += _schema_texts(body["response_format"])
    reading = _reading(texts, tokens + media.tokens() if media.counts else tokens, frozenset(media.counts))
    if not body.get("tools"):
        return reading
    tools_tokens = math.ceil(estimate_text_tokens(_json(body["tools"])).tokens)
    return replace(reading, tools_tokens=min(tools_tokens, reading.tokens))


def read_completion(body: Mapping[str, Any]) -> Reading:
    """Return what a model reads of a completion's body: its prompt's texts or token ids, one prompt or several."""
    prompt = body["prompt"]
    prompts = prompt if isinstance(prompt, list) else [prompt]
    texts = [text for text in prompts if isinstance(text, str)]
    ids = sum(len(prompt) if isinstance(prompt, list) else not isinstance(prompt, str) for prompt in prompts)
    suffix = body.get("suffix")
    return _reading([*texts, suffix] if isinstance(suffix, str) else texts, ids)


class _Media:
    """Counts media; of more than are measured, the mean of those measured stands for the others."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._measured: dict[str, float] = {}  # tokens

    def add(self, part: Mapping[str, Any], modality: str) -> None:
        count = self.counts.get(modality, 0)
        if count < _MOST_MEASURED:
            self._measured[modality] = self._measured.get(modality, 0) + media_tokens(part, modality)
        self.counts[modality] = count + 1

    def tokens(self) -> float:
        return sum(
            [tokens * max(1.0, self.counts[modality] / _MOST_MEASURED) for modality, tokens in self._measured.items()]
        )


def _message_texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    for key in _MESSAGE_TEXTS:
        if isinstance(text := message.get(key), str):
            yield text
    for key in _MESSAGE_OBJECTS:
        if message.get(key):
            yield _json(message[key])
    for call in _calls(message):
        inner = next((call[key] for key in ("function", "custom") if isinstance(call.get(key), Mapping)), call)
        yield from (value if isinstance(value, str) else _json(value) for value in inner.values())


def _calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []


def _part_text(part: Mapping[str, Any]) -> str:
    """Return the text of a part that is none of the media; what it says in other fields, as JSON."""
    text = part.get("text")
    if isinstance(text, str):
        return text
    rest = {key: value for key, value in part.items() if key not in ("type", "content")}
    content = part.get("content")
    return "\n".join([*([content] if isinstance(content, str) else ()), *([_json(rest)] if rest else ())])


def _schema_texts(response_format: object) -> list[str]:
    schema = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    return [_json(schema)] if schema else []


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _reading(texts: list[str], others: float, modalities: frozenset[str] = frozenset()) -> Reading:
    text = estimate_text_tokens("\n".join(texts))
    return Reading(max(1, math.ceil(text.tokens + others)), text.script, modalities)
