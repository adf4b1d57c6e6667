"""What a request says under its declared tags, as the columns of features that stand for it."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from highwayman.env.encoder.features.tags import Tag
from highwayman.env.types import JsonObject
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.config.context import TagSource
from highwayman.serving.http.asgi import Scope, header
from highwayman.serving.state.level_table import LevelTable

_APP_HEADERS = (b"x-title", b"http-referer")  # by which OpenRouter's clients name themselves
_INSTRUCTING = ("system", "developer")


@dataclass(frozen=True, slots=True)
class TagReader:
    """Reads the tags off requests. Values are only compared, or kept as digests under the namespace's secret."""

    declared: Mapping[Tag, TagSource]
    table: LevelTable | None  # None: levels that are not declared are all taken for rare ones
    secret: Callable[[], bytes]

    def read(self, scope: Scope, body: JsonObject, principal: Principal) -> tuple[tuple[str, int], ...]:
        """Return the column of each tag that the request has, by the tag's name."""
        places = []
        for tag, source in self.declared.items():
            value = _value(source, scope, body, principal)
            if value:
                places.append((tag.name, self._place(tag, value, principal.tenant)))
        return tuple(places)

    def _place(self, tag: Tag, value: str, tenant: str) -> int:
        if tag.levels:
            return tag.levels.index(value) if value in tag.levels else tag.rest
        if self.table is None:
            return tag.rest
        text = f"{tag.name}\0{tenant}\0{value}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, key=self.secret(), digest_size=12, person=b"level").hexdigest()
        return self.table.place(tenant, tag, digest)


def _value(source: TagSource, scope: Scope, body: JsonObject, principal: Principal) -> str | None:
    """Return what a request says in a place, None where it says nothing."""
    kind, name = source
    if kind == "header":
        value: Any = header(scope, name.encode())
    elif kind == "metadata":
        metadata = body.get("metadata")
        value = metadata.get(name) if isinstance(metadata, dict) else None
    elif kind == "system_prompt":
        value = _system_prompt(body)
    elif kind == "app":
        value = next(filter(None, (header(scope, name) for name in _APP_HEADERS)), None)
    else:
        value = principal.key_id if kind == "key" else principal.tenant
    return value.strip() if isinstance(value, str) else None


def _system_prompt(body: JsonObject) -> str | None:
    """Return the text of the conversation's instructions, with which it begins; None where it has none."""
    messages = body.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else {}
    if first.get("role") not in _INSTRUCTING:
        return None
    content = first.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else None
