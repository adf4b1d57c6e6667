"""A chunk of a bandit log as a batch of Arrow rows, and back."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from highwayman.env.arrow import import_pyarrow
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools, Indices, LogError, LoggedData
from highwayman.sims.logs.logged_schema import COLUMNS, Heading, schema


def to_record_batch(log: LoggedData) -> Any:
    """Return the rounds as a batch; doubles stay as they are to the last bit."""
    pa = import_pyarrow()
    arrow_schema = schema(Heading(log.arms, log.encoder))
    columns = {
        "at": pa.array(log.at, pa.float64()),
        "session": pa.array(log.sessions, pa.int64()),
        "features": _listed(log.contexts, arrow_schema.field("features").type),
        "eligible": _listed(log.eligible, arrow_schema.field("eligible").type),
        "penalties": _listed(log.penalties, arrow_schema.field("penalties").type),
        "arm": pa.DictionaryArray.from_arrays(log.actions.astype(np.int32), pa.array(log.arms)).cast(pa.string()),
        "propensity": pa.array(log.propensities, pa.float64()),
        "reward": pa.array(log.rewards, pa.float64(), mask=np.isnan(log.rewards)),
        "cost_usd": pa.array(log.costs_usd, pa.float64(), mask=np.isnan(log.costs_usd)),
        "weight": pa.array(log.weights, pa.float64()),
        "pdrop": pa.array(1.0 - log.kept, pa.float64()),
    }
    return pa.record_batch([columns[column.name] for column in COLUMNS], schema=arrow_schema)


def from_record_batch(batch: Any, heading: Heading, *, first_row: int, d: int | None = None) -> LoggedData:
    """Return the rounds in a batch, checked.

    Args:
        batch: has all of the schema's columns but those that a file may lack.
        heading: of its file.
        first_row: number of the first row, for messages.
        d: how many features there are; None: as many as in the first row.

    Raises:
        LogError: names the row and the column that cannot be.
    """
    k = len(heading.arms)
    for column in COLUMNS:
        if not column.optional and column.name != "propensity" and batch.column(column.name).null_count:
            row = first_row + _first(~_valid(batch.column(column.name)))
            raise LogError(f"row {row}: {column.name} is missing")
    features = batch.column("features")
    width = (len(features[0]) if len(features) else 0) if d is None else d
    weights = _optional(batch, "weight", 1.0)
    log = LoggedData(
        arms=heading.arms,
        contexts=_floats(_matrix(features, width, "features", first_row)),
        eligible=_matrix(batch.column("eligible"), k, "eligible", first_row).astype(np.bool_),
        actions=_actions(batch.column("arm"), heading.arms, first_row),
        propensities=_numbers(batch.column("propensity")),
        rewards=np.where(weights == 0.0, np.nan, _numbers(batch.column("reward"))),
        costs_usd=_numbers(batch.column("cost_usd")),
        penalties=_floats(_matrix(batch.column("penalties"), k, "penalties", first_row)),
        sessions=_sessions(batch.column("session")),
        at=_numbers(batch.column("at")),
        encoder=heading.encoder,
        weights=np.where(weights == 0.0, 1.0, weights),
        kept=1.0 - _optional(batch, "pdrop", 0.0),
    )
    log.check(first_row=first_row)
    return log


def _optional(batch: Any, name: str, absent: float) -> Floats:
    """Return a column's values (n,), `absent` for a null and for all rows of a batch without the column."""
    if name not in batch.schema.names:
        return np.full(batch.num_rows, absent)
    values = _numbers(batch.column(name))
    return np.where(np.isnan(values), absent, values)


def _listed(values: Floats | Bools, kind: Any) -> Any:
    """Return the rows of a matrix as lists."""
    n, width = values.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int32) if width else np.zeros(n + 1, dtype=np.int32)
    pa = import_pyarrow()
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)), type=kind)


def _matrix(lists: Any, width: int, name: str, first_row: int) -> Any:
    """Return lists of `width` values each as a matrix, shape (n, width)."""
    lengths = import_pyarrow("pyarrow.compute").list_value_length(lists).to_numpy(zero_copy_only=False)
    if (lengths != width).any():
        row = _first(lengths != width)
        raise LogError(f"row {first_row + row}: {name} has {lengths[row]} values, not {width}")
    values = lists.flatten()
    if values.null_count:
        row = _first(~_valid(values)) // width
        raise LogError(f"row {first_row + row}: {name} holds a null")
    plain = _plain(values) if import_pyarrow("pyarrow.types").is_boolean(values.type) else _numbers(values)
    return plain.reshape(len(lists), width)


def _actions(names: Any, arms: tuple[str, ...], first_row: int) -> Indices:
    """Return the index of each row's arm."""
    types = import_pyarrow("pyarrow.types")
    if types.is_string_view(names.type):
        names = names.cast(import_pyarrow().string())
    coded = names if types.is_dictionary(names.type) else names.dictionary_encode()
    numbers = {arm: number for number, arm in enumerate(arms)}
    arm_numbers = np.array([numbers.get(name, -1) for name in coded.dictionary.to_pylist()], dtype=np.intp)
    actions: Indices = arm_numbers[_plain(coded.indices)] if len(arm_numbers) else np.empty(0, dtype=np.intp)
    if (actions < 0).any():
        row = _first(actions < 0)
        raise LogError(f"row {first_row + row}: arm {names[row].as_py()!r} is none of the file's: {', '.join(arms)}")
    return actions


def _sessions(values: Any) -> npt.NDArray[np.int64]:
    """Return each row's session as a number: a name's is the first eight bytes of its BLAKE2 hash."""
    types = import_pyarrow("pyarrow.types")
    if types.is_integer(values.type):
        numbers: npt.NDArray[np.int64] = _plain(values).astype(np.int64, copy=False)
        return numbers
    if types.is_string_view(values.type):
        values = values.cast(import_pyarrow().string())
    coded = values if types.is_dictionary(values.type) else values.dictionary_encode()
    hashes = [hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in coded.dictionary.to_pylist()]
    sessions: npt.NDArray[np.int64] = np.frombuffer(b"".join(hashes), "<i8").astype(np.int64)[_plain(coded.indices)]
    return sessions


def _numbers(values: Any) -> Floats:
    """Return numbers, truth values, or moments in seconds since the epoch (without a zone: UTC), NaN for null."""
    pa = import_pyarrow()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        microseconds = values.cast(pa.timestamp("us", tz=values.type.tz), safe=False).cast(pa.int64())
        return _floats(_plain(microseconds.cast(pa.float64(), safe=False))) / 1e6
    return _floats(_plain(values.cast(pa.float64(), safe=False)))


def _valid(values: Any) -> Bools:
    valid: Bools = values.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _plain(values: Any) -> Any:
    """Return the values as a numpy array, NaN for null."""
    return values.to_numpy(zero_copy_only=False)


def _floats(values: Any) -> Floats:
    floats: Floats = values.astype(np.float64, copy=False)
    return floats


def _first(mask: Bools) -> int:
    return int(mask.argmax())
