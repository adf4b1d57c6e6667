"""Which requests may have an answer that another was given before, and by which name it is found."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.types import Query

# Of a body: who asks, how the answer is sent, and what no model reads. (That one answer is wanted goes without saying.)
_NOT_READ: Final = frozenset(
    {
        "model",
        "messages",
        "prompt",
        "stream",
        "stream_options",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "service_tier",
        "prompt_cache_key",
        "n",
        "best_of",
    }
)
# Fields whose answer is more than text, or is not given for its text's sake.
_MORE_THAN_TEXT: Final = ("tools", "functions", "logprobs", "top_logprobs", "prompt_logprobs", "audio")
_SEVERAL: Final = ("n", "best_of")
_NUMBER: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """The name of what a request asks for; it gives nothing of it away."""

    exact: str  # of all that a model reads of the request, and of how it is to answer
    group: str = ""  # of all that but the words of the newest message; empty: nothing but the same is like it


@dataclass(frozen=True, slots=True)
class AskedBy:
    """Among whose answers one may be looked for: never among those of another tenant, or of another class."""

    tenant: str
    objective: str  # by its alias: who asks for quality is not given what was asked for cheaply
    tags: Sequence[tuple[str, int]] = ()  # the declared tags of the request, such as its task


def answer_key(
    body: Mapping[str, Any],
    query: Query,
    asked_by: AskedBy,
    secret: bytes,
    *,
    max_temperature: float,
    longest_like: int = 0,
) -> AnswerKey | None:
    """Return the key of a checked body, None where no stored answer may stand for a new one.

    Not stored and not looked for: answers to requests with tools, with a tool's result, with anything but text, for
    several answers or for log probabilities, and where the sampling asks for variety, by a temperature above
    `max_temperature`. Who gives no temperature has not asked for any.

    Requests of one group differ in the words of their newest message alone, which has the same numbers in all of them:
    their vectors may be compared. One whose newest message has more than `longest_like` characters is in no group, as
    no vector tells of all of it.
    """
    if not _is_of_text_alone(body, query) or _asks_for_variety(body, max_temperature):
        return None
    rest = {name: value for name, value in body.items() if name not in _NOT_READ and value is not None}
    whose = [asked_by.tenant, asked_by.objective, sorted(asked_by.tags)]
    read = [{"prompt": body["prompt"].strip()}] if "prompt" in body else list(map(_normalised, body["messages"]))
    exact = _digest(secret, [whose, rest, read])
    newest = read[-1].get("content", [read[-1].get("prompt")])
    if len(newest) != 1 or newest[0] != query.text.strip() or not 0 < len(query.text) <= longest_like:
        return AnswerKey(exact)
    others = [*read[:-1], {**read[-1], "content": None, "prompt": None}, _NUMBER.findall(query.text)]
    return AnswerKey(exact, _digest(secret, [whose, rest, others]))


def _is_of_text_alone(body: Mapping[str, Any], query: Query) -> bool:
    if query.modalities or query.images or query.in_tool_loop or not query.plain_text:
        return False
    if any(body.get(name) not in (None, False, [], {}) for name in _MORE_THAN_TEXT):
        return False
    if "prompt" in body:
        return isinstance(body["prompt"], str)
    return not any(message.get("tool_calls") or message["role"] in ("tool", "function") for message in body["messages"])


def _asks_for_variety(body: Mapping[str, Any], max_temperature: float) -> bool:
    return (body.get("temperature") or 0.0) > max_temperature or any(
        body.get(name) not in (None, 1) for name in _SEVERAL
    )


def _normalised(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message whose texts are without the blanks around them, however they are written down."""
    content = message.get("content")
    if isinstance(content, str):
        content = [content]
    else:
        content = [part.get("text") if part.get("type") == "text" else part for part in content or ()]
    texts = [part.strip() if isinstance(part, str) else part for part in content]
    return {**{name: value for name, value in message.items() if value is not None}, "content": texts}


def _digest(secret: bytes, value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode("ascii"), key=secret, digest_size=16, person=b"answer").hexdigest()
