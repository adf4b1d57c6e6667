"""Sheets on disk: Parquet, CSV, JSON lines, and JSON."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from highwayman.env.arrow import file_errors, import_pyarrow
from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.table_cells import TableError

SUFFIXES = (".parquet", ".csv", ".jsonl", ".json")
_PICKLES = (".pkl", ".pickle")
_ROUTER_EVAL = "_router_dataset"  # ends the names of RouterEval's pickles, which hold no data frame
_CSV_BLOCK = 64 * 2**20  # no row may be longer

Where = Callable[[int], str]


def opened(path: Path) -> Sheet:
    """Return the columns of a file. Raises TableError where it cannot be read, ConfigError where pyarrow is missing."""
    openers = dict(zip(SUFFIXES, (_parquet, _csv, _lines, _json), strict=True))
    if path.suffix in _PICKLES:
        conversion = f"pandas.read_pickle('{path.name}').to_parquet('{path.stem}.parquet')"
        told = f'convert it with pandas: python -c "import pandas; {conversion}"'
        if path.stem.endswith(_ROUTER_EVAL):
            told = "write one of RouterEval's pools as JSON, as docs/reference/tables.md says"
        raise TableError(
            f"{path}: a pickle runs what it holds when it is opened, so none is read here. If you trust it, {told}"
        )
    if path.suffix not in openers:
        raise TableError(f"{path}: a table is a file named *{', *'.join(SUFFIXES)}, or a folder of such")
    with file_errors(path, TableError):
        path.stat()  # says more plainly than pyarrow that there is no such file
        sheet = openers[path.suffix](path)
    if sheet.n == 0:
        raise TableError(f"{path}: holds no rows")
    if len(set(sheet.columns)) < len(sheet.columns):
        duplicate = next(name for name in sheet.columns if sheet.columns.count(name) > 1)
        raise TableError(f"{path}: column {duplicate!r} stands twice")
    return sheet


def _parquet(path: Path) -> Sheet:
    with import_pyarrow("pyarrow.parquet").ParquetFile(path) as file:
        names, n, metadata = tuple(file.schema_arrow.names), file.metadata.num_rows, file.schema_arrow.metadata
    return Sheet(path, names, n, _Parquet(path), _rows(path), metadata or {})


def _csv(path: Path) -> Sheet:
    csv, pa, where = import_pyarrow("pyarrow.csv"), import_pyarrow(), _rows(path)
    misfits: list[Any] = []

    def refuse(row: Any) -> str:
        misfits.append(row)
        return "error"

    reading = csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK)  # threads would lose a row's number
    parsing = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse)
    try:
        with path.open("rb") as file:
            names = csv.open_csv(file, csv.ReadOptions(use_threads=False), parsing).schema.names
        converting = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        )
        table = csv.read_csv(path, reading, parsing, converting)
    except pa.ArrowInvalid as error:
        if not misfits:
            raise
        row, actual, expected = misfits[0].number - 2, misfits[0].actual_columns, misfits[0].expected_columns
        raise TableError(f"{where(row)}: has {actual} columns, the head has {expected}") from error
    return Sheet(path, tuple(table.column_names), table.num_rows, _Text(table, where), where)


def _lines(path: Path) -> Sheet:
    rows, numbers = list[dict[str, Any]](), list[int]()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_parsed(line, f"{path}: line {number}"))
                numbers.append(number)

    def where(row: int) -> str:
        return f"{path}: line {numbers[row]}"

    names = dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, rows))))
    return Sheet(path, tuple(names), len(rows), _Objects(rows, where), where)


def _json(path: Path) -> Sheet:
    """Return a row for each object of a list, or for the one that the file is."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise TableError(f"{path}: not JSON: {error}") from error
    rows = content if isinstance(content, list) else [content]
    if not all(isinstance(row, dict) for row in rows):
        raise TableError(f"{path}: must hold a JSON object, or a list of them")
    names = dict.fromkeys(chain.from_iterable(rows))
    return Sheet(path, tuple(names), len(rows), _Objects(rows, _rows(path)), _rows(path))


def _rows(path: Path) -> Where:
    return lambda row: f"{path}: row {row}"


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise TableError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict):
        raise TableError(f"{where}: not a JSON object")
    return row


@dataclass(frozen=True, slots=True)
class _Parquet:
    """Columns that know their type, read when they are asked for."""

    path: Path

    def texts(self, column: str) -> Any:
        array, types = self._read(column), import_pyarrow("pyarrow.types")
        if not (types.is_string(array.type) or types.is_large_string(array.type) or types.is_integer(array.type)):
            raise TableError(f"{self.path}: column {column!r} must be text, it holds {array.type}")
        with file_errors(self.path, TableError):
            return array.cast(import_pyarrow().large_string())

    def numbers(self, column: str) -> Any:
        array, types = self._read(column), import_pyarrow("pyarrow.types")
        kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null)
        if not any(kind(array.type) for kind in kinds):
            raise TableError(f"{self.path}: column {column!r} must be numbers, it holds {array.type}")
        with file_errors(self.path, TableError):
            return array.cast(import_pyarrow().float64())

    def objects(self, column: str, *, upto: int | None = None) -> list[Any]:
        return list(self._read(column)[:upto].to_pylist())

    def _read(self, column: str) -> Any:
        """Return the column as one array, not as a dictionary's codes."""
        parquet, types = import_pyarrow("pyarrow.parquet"), import_pyarrow("pyarrow.types")
        with file_errors(self.path, TableError):
            with parquet.ParquetFile(self.path, page_checksum_verification=True) as file:
                array = file.read([column]).column(column).combine_chunks()
            array = array.cast(array.type.value_type) if types.is_dictionary(array.type) else array
            return array.cast(import_pyarrow().string()) if array.type == import_pyarrow().string_view() else array


@dataclass(frozen=True, slots=True)
class _Text:
    """Columns of text, which may be numbers."""

    table: Any
    where: Where

    def texts(self, column: str) -> Any:
        return self.table.column(column).combine_chunks()

    def numbers(self, column: str) -> Any:
        pa, compute = import_pyarrow(), import_pyarrow("pyarrow.compute")
        texts = compute.utf8_trim_whitespace(self.texts(column))
        lower = compute.utf8_lower(texts)
        true, false = compute.equal(lower, "true"), compute.equal(lower, "false")
        digits = compute.if_else(true, "1", compute.if_else(false, "0", texts))
        try:
            return digits.cast(pa.float64())
        except pa.ArrowInvalid:
            row = next(row for row, text in enumerate(digits) if not _is_number(text))
            raise TableError(f"{self.where(row)}: {column} must be a number, got {texts[row].as_py()!r}") from None

    def objects(self, column: str, *, upto: int | None = None) -> list[Any]:
        return list(self.texts(column)[:upto].to_pylist())


def _is_number(text: Any) -> bool:
    try:
        text.cast(import_pyarrow().float64())
    except import_pyarrow().ArrowInvalid:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Objects:
    """Rows of JSON, each value of any type."""

    rows: list[dict[str, Any]]
    where: Where

    def texts(self, column: str) -> Any:
        texts = [str(value) if type(value) is int else value for value in self.objects(column)]
        self._refuse(column, texts, {str, type(None)}, "text")
        try:
            return import_pyarrow().array(texts, import_pyarrow().large_string())
        except UnicodeEncodeError:  # half of a surrogate pair, escaped
            row = next(row for row, text in enumerate(texts) if text is not None and not _fits_utf8(text))
            raise TableError(f"{self.where(row)}: {column} must be text, got {texts[row]!r}") from None

    def numbers(self, column: str) -> Any:
        values = self.objects(column)
        self._refuse(column, values, {float, int, bool, type(None)}, "a number")
        try:
            return import_pyarrow().array(
                [None if value is None else float(value) for value in values], import_pyarrow().float64()
            )
        except OverflowError:
            raise TableError(f"{self.where(0)} or below: {column} holds a number that is too large") from None

    def objects(self, column: str, *, upto: int | None = None) -> list[Any]:
        return [row.get(column) for row in self.rows[:upto]]

    def _refuse(self, column: str, values: list[Any], kinds: set[type], expected: str) -> None:
        if not set(map(type, values)) <= kinds:
            row = next(row for row, value in enumerate(values) if type(value) not in kinds)
            raise TableError(f"{self.where(row)}: {column} must be {expected}, got {values[row]!r}")


def _fits_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
