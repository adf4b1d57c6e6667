"""Events as bytes: msgpack arrays [schema, kind, fields in the order of the dataclass], features as float32."""

from dataclasses import fields
from typing import Any

import msgpack
import numpy as np

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import Context, Decision, Feedback, Mode, Outcome, Status

SCHEMA = 1
Event = Decision | Outcome | Feedback

_KINDS: dict[type[Event], str] = {Decision: "d", Outcome: "o", Feedback: "f"}
_FLAT: dict[str, type[Outcome] | type[Feedback]] = {"o": Outcome, "f": Feedback}


class BadEvent(HighwaymanError):
    """Bytes on the log that this version cannot read."""


def encode(event: Event) -> bytes:
    """Return the event as bytes."""
    values = [_plain(getattr(event, name)) for name in _field_names(type(event))]
    packed: bytes = msgpack.packb([SCHEMA, _KINDS[type(event)], *values])
    return packed


def decode(data: bytes) -> Event:
    """Return the event that `data` holds.

    Raises:
        BadEvent: not an event, an unknown kind, a newer schema, or fields that do not fit.
    """
    try:
        schema, kind, *values = msgpack.unpackb(data)
        if schema != SCHEMA:
            raise BadEvent(f"event has schema {schema}, this version reads {SCHEMA}")
        return _decision(values) if kind == "d" else _flat(_FLAT[kind], values)
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise BadEvent(f"not a readable event: {type(error).__name__}") from error


def _field_names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _plain(value: Any) -> Any:
    if isinstance(value, Context):
        features = value.features.astype("<f4").tobytes()
        return [features, value.fingerprint, value.prompt_tokens, sorted(value.flags)]
    if isinstance(value, np.ndarray):
        return value.astype("<f8").tobytes()
    return str(value) if isinstance(value, Mode | Status) else value


def _decision(values: list[Any]) -> Decision:
    named = _named(Decision, values)
    features, fingerprint, prompt_tokens, flags = named["context"]
    named["context"] = Context(
        np.frombuffer(features, "<f4").astype(np.float64), fingerprint, prompt_tokens, frozenset(flags)
    )
    named["arms"] = tuple(named["arms"])
    for name in ("penalties", "probs"):
        named[name] = np.frombuffer(named[name], "<f8").copy()
    named["mode"] = Mode(named["mode"])
    return Decision(**named)


def _flat(kind: type[Outcome] | type[Feedback], values: list[Any]) -> Outcome | Feedback:
    named = _named(kind, values)
    if kind is Outcome:
        named["status"] = Status(named["status"])
    return kind(**named)


def _named(kind: type[Any], values: list[Any]) -> dict[str, Any]:
    return dict(zip(_field_names(kind), values, strict=True))
