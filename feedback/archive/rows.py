"""Events as rows of an archive, and back: what comes back is exactly what was put in.

Where the columns would not give the same bytes back (events of another version, or that nothing of ours wrote), the
bytes themselves stand in `raw`, and beside them whatever of the columns they could fill.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any, Final, TypeVar

import numpy as np

from highwayman.env.arrow import import_pyarrow
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
from highwayman.feedback.archive.schema import (
    COLUMNS,
    CONTROL,
    DECISION,
    FEEDBACK,
    KINDS,
    OUTCOME,
    UNREADABLE,
    arrow_type,
    schema,
)
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.events import BadEvent, Event, decision_id_of, decode, encode

Row = tuple[EventId, bytes, bool]  # as `Store.read` and `Retention.scan` return an event
Values = Mapping[str, Any]
_Enum = TypeVar("_Enum", bound=StrEnum)
_Part = TypeVar("_Part", Attempt, CascadeStage)

_NAMES: Final = {kind: [column.name for column in COLUMNS if kind in column.kinds] for kind in KINDS}
_NEEDED: Final = {
    kind: [column.name for column in COLUMNS if kind in column.kinds and not column.optional] for kind in _NAMES
}


class BadRow(HighwaymanError):
    """A row whose columns make no event; the message names the column."""


def to_record_batch(rows: Sequence[Row]) -> Any:
    """Return events as a record batch."""
    pa = import_pyarrow(extra="parquet")
    values = [_values_of(row) for row in rows]
    arrays = [pa.array([row.get(column.name) for row in values], arrow_type(column.type)) for column in COLUMNS]
    return pa.record_batch(arrays, schema=schema())


def from_record_batch(batch: Any) -> Iterator[Row | BadRow]:
    """Yield the events of a record batch; a BadRow where a row makes none."""
    for values in _values_in(batch):
        try:
            _need(values, ("id", "filed_before"))
            data = values["raw"] if values.get("raw") is not None else encode(to_event(values))
            yield values["id"], data, values["filed_before"]
        except BadRow as bad_row:
            yield bad_row


def to_event(values: Values) -> Event:
    """Return the event these columns describe. Raises BadRow."""
    kind = values["kind"]
    if kind not in _MAKERS:
        raise BadRow(f"column 'kind' says {kind!r}")
    _need(values, _NEEDED[kind])
    return _MAKERS[kind](values)


def _values_of(row: Row) -> dict[str, Any]:
    """Return the columns of an event, with its bytes where they alone would not give it back."""
    event_id, data, filed_before = row
    try:
        event = decode(data)
    except BadEvent:
        return {"id": event_id, "kind": UNREADABLE, "filed_before": filed_before, "raw": data}
    kind, fill = _FILLERS[type(event)]
    filled, decision_id = fill(event), decision_id_of(event)
    values: dict[str, Any] = {name: _FITS[name](value) for name, value in filled.items()}
    values |= {"id": event_id, "kind": kind, "filed_before": filed_before}
    values["decision_id"] = None if isinstance(event, Control) and not decision_id else _string(decision_id)
    try:
        same = encode(to_event(values)) == data
    except BadRow:
        same = False
    return values if same else {**values, "raw": data}


def _values_in(batch: Any) -> list[Values]:
    """Return the columns of each row: `raw` where it has one, else those that its kind fills."""
    pa = import_pyarrow(extra="parquet")
    kinds, raw = batch.column("kind").to_pylist(), batch.column("raw").is_valid().to_pylist()
    groups: dict[str, list[int]] = {}
    for place, (kind, has_raw) in enumerate(zip(kinds, raw, strict=True)):
        groups.setdefault("raw" if has_raw else str(kind), []).append(place)
    rows: list[Values] = [{}] * len(kinds)
    for group, places in groups.items():
        part = batch.take(pa.array(places))
        names = _NAMES.get(group, ["id", "kind", "filed_before", "raw"])
        names = [name for name in names if name in batch.schema.names]
        columns = [_listed(part.column(name)) for name in names]
        for place, *values in zip(places, *columns, strict=True):
            rows[place] = dict(zip(names, values, strict=True))
    return rows


def _listed(column: Any) -> list[Any]:
    """Return a column as a list, its numbers' lists as arrays."""
    pa = import_pyarrow(extra="parquet")
    if not pa.types.is_list(column.type) or pa.types.is_string(column.type.value_type):
        return list(column.to_pylist())
    ends, numbers = column.offsets.to_numpy(), column.values.to_numpy(zero_copy_only=False)
    valid = column.is_valid().to_pylist()
    return [numbers[ends[k] : ends[k + 1]].copy() if valid[k] else None for k in range(len(valid))]


def _fill_decision(event: Decision) -> Values:
    context, action = event.context, event.action
    inside = isinstance(action, int) and -len(event.arms) <= action < len(event.arms)
    return {
        **_same(event, _NAMES[DECISION]),
        **{
            "features": context.features.astype("<f4"),
            "encoder": context.fingerprint,
            "prompt_tokens": context.prompt_tokens,
        },
        **{"flags": context.flags, "arm": event.arms[action] if inside else None, "mode": str(event.mode)},
    }


def _make_decision(values: Values) -> Decision:
    features = values["features"].astype(np.float64)
    names = ("tenant", "at", "penalties", "probs", "action", "propensity", "policy", "policy_version", "objective")
    return Decision(
        id=values["decision_id"],
        context=Context(features, values["encoder"], values["prompt_tokens"], frozenset(values["flags"])),
        arms=tuple(values["arms"]),
        mode=_one_of(Mode, values, "mode"),
        **{name: values[name] for name in (*names, "user", "prompt")},
    )


def _fill_outcome(event: Outcome) -> Values:
    parts = {"tried": _as_json(event.tried), "stages": _as_json(event.stages)}
    names = {"served_arm": event.arm, "status": str(event.status), **parts}
    return {**_same(event, _NAMES[OUTCOME]), **names}


def _make_outcome(values: Values) -> Outcome:
    status = _one_of(Status, values, "status")
    names = "prompt_tokens", "tokens_in", "tokens_out", "cost_usd", "ttft_s", "latency_s", "finish_reason", "attempts"
    outcome = Outcome(
        values["decision_id"], values["at"], values["served_arm"], status, *(values[name] for name in names)
    )
    cached, estimated = values.get("tokens_cached") or 0, bool(values.get("estimated"))
    return replace(
        outcome,
        tried=_from_json(Attempt, values, "tried"),
        stages=_from_json(CascadeStage, values, "stages"),
        tokens_cached=cached,
        estimated=estimated,
        tools_dropped=bool(values.get("tools_dropped")),
        wh=values.get("wh"),
    )


def _as_json(parts: Sequence[Attempt] | Sequence[CascadeStage]) -> str | None:
    try:
        return json.dumps([asdict(part) for part in parts]) if parts else None
    except (TypeError, ValueError, RecursionError):  # no event of ours
        return None


def _from_json(kind: type[_Part], values: Values, column: str) -> tuple[_Part, ...]:
    """Return the attempts or stages that JSON tells of. Raises BadRow."""
    try:
        return tuple(kind(**part) for part in json.loads(values.get(column) or "[]"))
    except (ValueError, TypeError, RecursionError) as error:
        raise BadRow(f"column {column!r}: {type(error).__name__}") from None


def _fill_feedback(event: Feedback) -> Values:
    return {**_same(event, _NAMES[FEEDBACK]), "feedback_id": event.id}


def _make_feedback(values: Values) -> Feedback:
    names = "feedback_id", "decision_id", "at", "source", "metric", "value", "weight", "user"
    return Feedback(*(values[name] for name in names))


def _fill_control(event: Control) -> Values:
    try:
        detail = json.dumps(event.detail, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        detail = None
    return {"at": event.at, "control": str(event.kind), "detail": detail}


def _make_control(values: Values) -> Control:
    try:
        detail = json.loads(values["detail"])
    except (ValueError, RecursionError) as error:
        raise BadRow(f"column 'detail': {error}") from None
    if not isinstance(detail, dict):
        raise BadRow("column 'detail' is no JSON object")
    return Control(values["at"], _one_of(ControlKind, values, "control"), detail)


def _need(values: Values, names: Sequence[str]) -> None:
    missing = [name for name in names if values.get(name) is None]
    if missing:
        raise BadRow(f"column {missing[0]!r} is empty")


def _same(event: Event, names: Iterable[str]) -> dict[str, Any]:
    """Return the event's fields whose columns have their names."""
    return {name: getattr(event, name) for name in names if name in event.__dataclass_fields__}


def _one_of(kind: type[_Enum], values: Values, name: str) -> _Enum:
    try:
        return kind(values[name])
    except ValueError as error:
        raise BadRow(f"column {name!r}: {error}") from None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _double(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


def _int64(value: Any) -> int | None:
    return int(value) if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def _strings(value: Any) -> list[str] | None:
    texts = list(value) if isinstance(value, tuple | list | frozenset) else None
    if texts is None or not all(isinstance(text, str) for text in texts):
        return None
    return sorted(texts) if isinstance(value, frozenset) else texts


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_it_is(value: Any) -> Any:
    return value


_OF_TYPE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _string,
    "double": _double,
    "int64": _int64,
    "bool": _bool,
    "list<string>": _strings,
}
_FITS: Final = {column.name: _OF_TYPE.get(column.type, _as_it_is) for column in COLUMNS}
_FILLERS: Final[Mapping[type[Event], tuple[str, Callable[[Any], Values]]]] = {
    Decision: (DECISION, _fill_decision),
    Outcome: (OUTCOME, _fill_outcome),
    Feedback: (FEEDBACK, _fill_feedback),
    Control: (CONTROL, _fill_control),
}
_MAKERS: Final[Mapping[str, Callable[[Values], Event]]] = {
    DECISION: _make_decision,
    OUTCOME: _make_outcome,
    FEEDBACK: _make_feedback,
    CONTROL: _make_control,
}
