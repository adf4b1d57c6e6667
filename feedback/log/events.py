"""Events as bytes: msgpack arrays [schema, kind, fields in the order of the dataclass], features as float32."""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields, replace
from typing import Any

import msgpack
import numpy as np

from highwayman.env.errors import HighwaymanError
from highwayman.env.types import (
    Attempt,
    CascadeStage,
    Context,
    Control,
    ControlKind,
    Decision,
    Feedback,
    Mode,
    Outcome,
    Status,
)

SCHEMA = 2
Event = Decision | Outcome | Feedback | Control


class BadEvent(HighwaymanError):
    """Bytes on the log that this version cannot read."""


class UnwritableEvent(HighwaymanError):
    """An event that the log cannot hold; the message says why, and nothing of what is in it."""


def encode(event: Event) -> bytes:
    """Return the event as bytes.

    Raises:
        UnwritableEvent: a number is too large or not finite, a text is no Unicode, or a field has another type.
    """
    try:
        _check_finite(event)
        kind, values = _ENCODERS[type(event)](event)
        packed: bytes = msgpack.packb([SCHEMA, kind, *values])
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        name = type(event).__name__.lower()
        raise UnwritableEvent(f"{name} cannot be written ({type(error).__name__})") from None
    return packed


def _check_finite(event: Event) -> None:
    """Raise ValueError for a number from outside that is not finite: it would spread through every sum it is in."""
    numbers: tuple[float | None, ...] = ()
    if isinstance(event, Outcome):
        numbers = (event.tokens_in, event.tokens_out, event.cost_usd, event.ttft_s, event.latency_s, event.wh)
        for stage in event.stages:
            numbers += (stage.good, stage.goes_on, stage.cost_usd, stage.seconds, *stage.signals.values())
    elif isinstance(event, Feedback):
        numbers = (event.value, event.weight, event.quality)
    else:
        return
    for number in numbers:
        if number is not None and not math.isfinite(number):
            raise ValueError("not finite")


def decode(data: bytes) -> Event:
    """Return the event that `data` holds.

    Raises:
        BadEvent: not an event, an unknown kind, another schema, or fields that do not fit.
    """
    try:
        schema, kind, *values = msgpack.unpackb(data)
        if schema != SCHEMA:
            raise BadEvent(f"event has schema {schema}, this version reads {SCHEMA}")
        return _DECODERS[kind](*values)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, msgpack.UnpackException) as error:
        raise BadEvent(f"not a readable event: {type(error).__name__}") from error


def kind_letter(event: Event) -> str:
    """Return the letter the event has on the log."""
    return _KINDS[type(event)]


def decision_id_of(event: Event) -> str:
    """Return the id of the decision the event is about, empty for none."""
    if isinstance(event, Control):
        return str(event.detail.get("decision", ""))
    return event.id if isinstance(event, Decision) else event.decision_id


def decision_id_in(data: bytes) -> str:
    """Return the id of the decision that an event's bytes are about, empty where they cannot be read."""
    try:
        return decision_id_of(decode(data))
    except BadEvent:
        return ""


_FLOAT32, _FLOAT64 = np.dtype("<f4"), np.dtype("<f8")
# By their texts: to call an enum takes as long as all else that is done with one.
_MODES, _STATUSES = {str(mode): mode for mode in Mode}, {str(status): status for status in Status}
_STAGE_FIELDS = len(fields(CascadeStage))  # a later version may write more behind them
_KINDS: dict[type[Event], str] = {Decision: "d", Outcome: "o", Feedback: "f", Control: "c"}


def _encode_decision(event: Decision) -> tuple[str, list[Any]]:
    at = event.context
    context = [at.features.astype(_FLOAT32).tobytes(), at.fingerprint, at.prompt_tokens, sorted(at.flags)]
    arrays = event.penalties.astype(_FLOAT64, copy=False).tobytes(), event.probs.astype(_FLOAT64, copy=False).tobytes()
    head = [event.id, event.tenant, event.at, context, event.arms, *arrays, event.action]
    policy = [event.policy, event.policy_version, event.objective, str(event.mode)]
    links = [event.links] if event.links else []
    return "d", [*head, *policy, event.user, event.prompt, *links]


def _decode_decision(  # noqa: PLR0913, PLR0917  (the event's fields, in order)
    name: str, tenant: str, at: float, context: list[Any], arms: list[str], penalties: bytes, probs: bytes,
    action: int, policy: str, version: int, objective: str, mode: str, user: str, prompt: str | None,
    links: Sequence[str] = (),
) -> Decision:  # fmt: skip
    features, fingerprint, prompt_tokens, flags = context
    drawn_from = np.frombuffer(probs, _FLOAT64)
    seen = np.frombuffer(features, _FLOAT32).astype(np.float64)
    return Decision(
        name, tenant, at, Context(seen, fingerprint, prompt_tokens, frozenset(flags)),
        tuple(arms), np.frombuffer(penalties, _FLOAT64), drawn_from, action, drawn_from.item(action),
        policy, version, objective, _MODES.get(mode) or Mode(mode), user, prompt, tuple(links),
    )  # fmt: skip


def _encode_outcome(event: Outcome) -> tuple[str, list[Any]]:
    head = [event.decision_id, event.at, event.arm, str(event.status)]
    tokens = [event.prompt_tokens, event.tokens_in, event.tokens_out, event.cost_usd]
    return "o", [*head, *tokens, event.ttft_s, event.latency_s, event.finish_reason, _encode_attempts(event)]


def _encode_attempts(event: Outcome) -> int | list[Any]:
    """Return how many attempts there were; where more is known of the call, a list that begins with the number.

    It stands in the place of the number since code of before takes an outcome of 12 fields only, whatever they are.
    """
    named = _named_fields(event)
    if not (event.tried or event.tokens_cached or event.estimated or named):
        return event.attempts
    tried = [[a.arm, a.endpoint, a.seconds, a.ending, a.why] for a in event.tried]
    return [event.attempts, tried, event.tokens_cached, event.estimated, *([named] if named else ())]


def _named_fields(event: Outcome) -> dict[str, Any]:
    """Return what stands on the log by name, so that what comes next needs no place."""
    named: dict[str, Any] = {"tools_dropped": True} if event.tools_dropped else {}
    if event.wh is not None:
        named["wh"] = event.wh
    if event.stages:
        named["stages"] = [astuple(replace(stage, signals=dict(stage.signals))) for stage in event.stages]
    return named


def _decode_outcome(decision_id: str, at: float, arm: str, status: str, *more: Any) -> Outcome:
    if len(more) != 8:
        raise ValueError(f"an outcome has 12 fields, not {4 + len(more)}")
    *called, last = more
    how = _STATUSES.get(status) or Status(status)
    if not isinstance(last, list):
        return Outcome(decision_id, at, arm, how, *more)
    attempts, tried, tokens_cached, estimated, *rest = last  # a later version may have put more behind
    made = tuple([Attempt(*values[:5]) for values in tried])
    named = next((more for more in rest if isinstance(more, dict)), {})
    stages = tuple([CascadeStage(*values[:_STAGE_FIELDS]) for values in named.get("stages", ())])
    tools_dropped, wh = named.get("tools_dropped") is True, named.get("wh")
    values = [*called, attempts, made, tokens_cached, estimated, tools_dropped, stages, wh]
    return Outcome(decision_id, at, arm, how, *values)


def _encode_feedback(event: Feedback) -> tuple[str, list[Any]]:
    statement = [event.source, event.metric, event.value, event.weight, event.user]
    more = [event.key, event.text, event.compared_arm, event.quality, event.quarantined]
    return "f", [event.id, event.decision_id, event.at, *statement, *(more if any(map(_given, more)) else ())]


def _decode_feedback(*values: Any) -> Feedback:
    if len(values) not in (8, 13):
        raise ValueError(f"feedback has 8 or 13 fields, not {len(values)}")
    return Feedback(*values)


def _given(value: Any) -> bool:
    return value is not None and value is not False and value != ""  # a quality of 0 equals False, and is given


def _encode_control(event: Control) -> tuple[str, list[Any]]:
    return "c", [event.at, str(event.kind), dict(event.detail)]


def _decode_control(at: float, kind: str, detail: dict[str, Any]) -> Control:
    return Control(at, ControlKind(kind), dict(detail))


_ENCODERS: dict[type[Event], Callable[[Any], tuple[str, list[Any]]]] = {
    Decision: _encode_decision,
    Outcome: _encode_outcome,
    Feedback: _encode_feedback,
    Control: _encode_control,
}
_DECODERS: dict[Any, Callable[..., Event]] = {
    "d": _decode_decision,
    "o": _decode_outcome,
    "f": _decode_feedback,
    "c": _decode_control,
}
