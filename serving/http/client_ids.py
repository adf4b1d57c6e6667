"""Ids that a client sends along with its request: feedback may name the answer, or the conversation, by them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from highwayman.feedback.intake.targets import UNNAMED
from highwayman.serving.http.asgi import Scope, header, header_map

_IDS = "highwayman.client_ids"  # in the scope of a request that has been asked for them
_LONGEST = 256
_CACHE_KEY = "prompt_cache_key"  # OpenAI's: requests that share a beginning; where nothing else is given
_PREVIOUS = "previous_response_id"  # OpenAI's: the answer that this request goes on from
_TRACEPARENT = "traceparent"  # W3C: version-trace-parent-flags
# Proxies and tracers give these, too: a client that sends nothing else has no name for its answer.
_GIVEN_ON_THE_WAY = frozenset({"x-request-id", _TRACEPARENT})


@dataclass(frozen=True, slots=True)
class ClientIds:
    """The names of one request."""

    requests: tuple[str, ...] = ()
    is_named: bool = False  # whether one of them was given to the message, not by what lies between
    conversation: str | None = None
    previous_answer: str | None = None  # the id of the answer before


_NO_IDS = ClientIds()
_KEYS = frozenset({"metadata", _CACHE_KEY, _PREVIOUS})  # of a body, where names stand


LinkExtractor = Callable[[Scope, Mapping[str, Any], str], tuple[str, ...]]  # of a request, for a tenant


@dataclass(frozen=True, slots=True)
class ClientIdSources:
    """Where names stand: headers (lower case), and keys of the body's `metadata`."""

    request_headers: Sequence[str]
    request_keys: Sequence[str]
    conversation_headers: Sequence[str]
    conversation_keys: Sequence[str]
    _headers: frozenset[bytes] = field(init=False, repr=False, compare=False)  # all of them, as they come

    def __post_init__(self) -> None:
        """Note which headers are looked for, so that a request without any of them is soon seen to be."""
        names = (*self.request_headers, *self.conversation_headers)
        object.__setattr__(self, "_headers", frozenset(name.encode() for name in names))

    def extract(self, scope: Scope, body: Mapping[str, Any]) -> ClientIds:
        """Return what the request is called; names longer than 256 characters are passed over."""
        if self._headers.isdisjoint(header_map(scope)) and _KEYS.isdisjoint(body):
            return _NO_IDS
        sources, ids = scope.get(_IDS, (None, _NO_IDS))
        if sources != self:  # several parts of a router ask for the same ones
            ids = self._extracted(scope, body)
            scope[_IDS] = self, ids
        return cast("ClientIds", ids)

    def _extracted(self, scope: Scope, body: Mapping[str, Any]) -> ClientIds:
        value = body.get("metadata")
        metadata = value if isinstance(value, dict) else {}
        requests = _usable(
            [
                *(value for name in self.request_headers for value in _values(scope, name)),
                *map(metadata.get, self.request_keys),
            ]
        )
        conversations = [
            *(value for name in self.conversation_headers for value in _values(scope, name)),
            *map(metadata.get, self.conversation_keys),
            body.get(_CACHE_KEY),
        ]
        return ClientIds(
            tuple(dict.fromkeys(requests)),
            is_named=bool(requests) and self._is_named(scope, metadata),
            conversation=next(iter(_usable(conversations)), None),
            previous_answer=next(iter(_usable([body.get(_PREVIOUS)])), None),
        )

    def _is_named(self, scope: Scope, metadata: Mapping[str, Any]) -> bool:
        own = [
            *(header(scope, name.encode()) for name in self.request_headers if name not in _GIVEN_ON_THE_WAY),
            *map(metadata.get, self.request_keys),
        ]
        return bool(_usable(own))


def link_digests(sources: ClientIdSources, link: Callable[[str, str, str], str]) -> LinkExtractor:
    """Return what reads the links of a request's decision off the request; `link` takes kind, name and tenant."""

    def links(scope: Scope, body: Mapping[str, Any], tenant: str) -> tuple[str, ...]:
        names = sources.extract(scope, body)
        if names is _NO_IDS:
            return ()
        request_links = [link("request", name, tenant) for name in names.requests]
        if not names.conversation:
            return tuple(request_links)
        kinds = ("conversation",) if names.is_named else ("conversation", UNNAMED)
        return (*request_links, *(link(kind, names.conversation, tenant) for kind in kinds))

    return links


def _values(scope: Scope, name: str) -> Sequence[str | None]:
    """Return the names in a header: of `traceparent` the trace, and the span that asks."""
    value = header(scope, name.encode())
    if value is None or name != _TRACEPARENT:
        return (value,)
    parts = value.split("-")
    return parts[1:3] if len(parts) == 4 else ()


def _usable(names: Iterable[Any]) -> list[str]:
    return [name for name in names if isinstance(name, str) and 0 < len(name) <= _LONGEST]
