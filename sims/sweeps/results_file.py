"""Results on the disk: two Parquet tables, runs and curves; the rest of what a sweep found is JSON beside the runs.

The number in each file's metadata says which version of the columns it has; a stamp says which two files belong
together. What is unknown is null, not NaN, so that an average over a column is one over what is known.
"""

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from highwayman.env.arrow import file_errors, import_pyarrow
from highwayman.env.atomic_write import write_atomically
from highwayman.sims.sweeps.results import Arms, BaselineResult, Bin, Ratios, Results, ResultsError, RunResult, Setting

VERSION: Final = 1
_VERSION_KEY: Final = b"highwayman.results"
_STAMP_KEY: Final = b"highwayman.results.stamp"
_REST_KEY: Final = b"highwayman.results.rest"
_RUNS, _CURVES = "runs.parquet", "curves.parquet"


def write_results(results: Results, folder: Path) -> None:
    """Write runs.parquet and curves.parquet to `folder`, each whole or not at all.

    A crash between the two leaves files that do not belong together, which `read_results` finds out and refuses.

    Raises:
        ResultsError: the results do not fit together, the manifest is not JSON, or a file cannot be written.
        ConfigError: pyarrow is not installed.
    """
    results.check()
    try:
        rest = json.dumps(_plain(_rest(results)), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ResultsError(f"manifest: must hold what JSON can say: {error}") from error
    curves = _table(Bin, results.curves)
    stamp = hashlib.sha256(rest + repr((results.runs, results.curves)).encode()).hexdigest().encode()
    runs = _table(RunResult, results.runs)
    with file_errors(folder, ResultsError):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _CURVES, _bytes(curves, {_STAMP_KEY: stamp}))
        write_atomically(folder / _RUNS, _bytes(runs, {_STAMP_KEY: stamp, _REST_KEY: rest}))


def read_results(folder: Path) -> Results:
    """Return what `write_results` wrote to `folder`.

    Raises:
        ResultsError: a file is missing, damaged, of another version, or belongs to other results than its fellow.
        ConfigError: pyarrow is not installed.
    """
    runs, runs_metadata = _read(folder / _RUNS, RunResult)
    curves, curves_metadata = _read(folder / _CURVES, Bin)
    if runs_metadata.get(_STAMP_KEY) != curves_metadata.get(_STAMP_KEY):
        raise ResultsError(f"{folder}: {_RUNS} and {_CURVES} are of different sweeps; run the sweep again")
    try:
        return _whole(tuple(runs), tuple(curves), json.loads(runs_metadata[_REST_KEY]))
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(f"{folder / _RUNS}: its metadata is damaged: {error!r}") from error


def _schema(row_type: type[RunResult] | type[Bin]) -> Any:
    pa = import_pyarrow()
    shares = pa.list_(pa.field("element", pa.float64()))
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), tuple[float, ...]: shares}
    hints = get_type_hints(row_type)
    return pa.schema([pa.field(field.name, types[hints[field.name]]) for field in fields(row_type)])


def _table(row_type: type[RunResult] | type[Bin], rows: tuple[RunResult, ...] | tuple[Bin, ...]) -> Any:
    pa, schema = import_pyarrow(), _schema(row_type)
    columns = [
        pa.array([getattr(row, column.name) for row in rows], type=column.type, from_pandas=True) for column in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _bytes(table: Any, metadata: Mapping[bytes, bytes]) -> bytes:
    blob = io.BytesIO()
    stamped = table.replace_schema_metadata({_VERSION_KEY: str(VERSION).encode(), **metadata})
    import_pyarrow("pyarrow.parquet").write_table(stamped, blob, compression="zstd")
    return blob.getvalue()


def _read(path: Path, row_type: type[Any]) -> tuple[list[Any], Mapping[bytes, bytes]]:
    with file_errors(path, ResultsError):
        table = import_pyarrow("pyarrow.parquet").read_table(io.BytesIO(path.read_bytes()))
    metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
    version = metadata.get(_VERSION_KEY, b"none").decode(errors="replace")
    if version != str(VERSION):
        raise ResultsError(f"{path}: has version {version} of a sweep's results, this program reads {VERSION}")
    schema = _schema(row_type)
    for column in schema:
        index = table.schema.get_field_index(column.name)
        if index < 0 or table.schema.field(index).type != column.type:
            raise ResultsError(f"{path}: column {column.name!r} must be there and hold {column.type}")
    return [_row(row_type, row) for row in table.select(schema.names).to_pylist()], metadata


def _row(row_type: type[Any], record: Mapping[str, Any]) -> Any:
    values = {name: math.nan if value is None else value for name, value in record.items()}
    return row_type(**{**values, "shares": tuple(record["shares"])})


def _rest(results: Results) -> dict[str, Any]:
    return {
        "arms": {table: asdict(arms) for table, arms in results.arms.items()},
        "frontier": [asdict(setting) for setting in results.frontier],
        "ratios": [asdict(ratios) for ratios in results.ratios],
        "manifest": results.manifest,
        "reference": results.reference,
        "oracle": results.oracle,
    }


def _whole(runs: tuple[RunResult, ...], curves: tuple[Bin, ...], rest: Mapping[str, Any]) -> Results:
    return Results(
        runs,
        curves,
        {table: _arms(record) for table, record in rest["arms"].items()},
        tuple(Setting(**_tuples(record)) for record in rest["frontier"]),
        tuple(Ratios(**_tuples(record)) for record in rest["ratios"]),
        rest["manifest"],
        rest["reference"],
        rest["oracle"],
    )


def _arms(record: Mapping[str, Any]) -> Arms:
    hull = tuple((float(cost), float(quality)) for cost, quality in record["hull"])
    baselines = {name: BaselineResult(**_tuples(baseline)) for name, baseline in record["baselines"].items()}
    return Arms(**{**_tuples(record), "hull": hull, "baselines": baselines})


def _tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON's lists as tuples, and its nulls as the NaN that they were."""
    lists = {name: value for name, value in record.items() if isinstance(value, list)}
    plain = {name: math.nan if value is None else value for name, value in record.items()}
    return {**plain, **{name: tuple(math.nan if item is None else item for item in lists[name]) for name in lists}}


def _plain(value: Any) -> Any:
    """Return the value with null for NaN, which JSON does not know."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
