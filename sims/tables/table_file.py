"""Tables on disk: written as Parquet in long format, read from whatever format a reader knows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, cast

import numpy as np

from highwayman.env.arrow import file_errors, import_pyarrow
from highwayman.env.atomic_write import atomic_writer
from highwayman.sims.tables import readers
from highwayman.sims.tables.sheet import Sheet
from highwayman.sims.tables.sheet_files import SUFFIXES, opened
from highwayman.sims.tables.table import FullTable
from highwayman.sims.tables.table_cells import AnswerCells, TableError
from highwayman.sims.tables.table_schema import COLUMN_NAMES, VALUES, VERSION, VERSION_KEY, schema

_GROUP_ROWS = 50_000
_COLUMNS_NAMED = 12  # in a message


class Reader(Protocol):
    """A module of `highwayman.sims.tables.readers`, whose name is the format's."""

    def mismatch(self, sheet: Sheet) -> str:
        """Return why the file is not in this format, in words; nothing if it is."""

    def cells(self, sheet: Sheet) -> AnswerCells:
        """Return the answers in a file. Raises TableError."""


def formats() -> dict[str, Reader]:
    """Return the readers by the names of their formats, our own first."""
    names = sorted((module.name for module in iter_modules(readers.__path__)), key=lambda name: (name != "long", name))
    return {name: cast(Reader, import_module(f"{readers.__name__}.{name}")) for name in names}


def read_table(
    path: Path | str | Sequence[Path | str], format: str | None = None, *, labels: Sequence[str] = ()
) -> FullTable:
    """Return the table in a file, or in several of the same format as one.

    Prompts that not every arm has answered are left out, and counted in `left_out`.

    Args:
        path: a file; a folder, of which every table file is read; or several files.
        format: a name from `formats()`; None: found by the columns.
        labels: columns beyond those of the format, of which the table keeps each prompt's text; null is empty.

    Raises:
        TableError: names the file, the row and the column that are wrong.
        ConfigError: pyarrow is missing.
    """
    paths = _files(path)
    readers_by_name = formats()
    if format is not None and format not in readers_by_name:
        raise TableError(f"format must be one of {', '.join(readers_by_name)}, got {format!r}")
    sheets = [_versioned(opened(file_path)) for file_path in paths]
    formats_of_sheets = [format or _format_of(sheet, readers_by_name) for sheet in sheets]
    odd = next((number for number, name in enumerate(formats_of_sheets) if name != formats_of_sheets[0]), 0)
    if odd:
        raise TableError(
            f"{paths[odd]}: is in format {formats_of_sheets[odd]}, {paths[0]} in {formats_of_sheets[0]}; "
            "files read together must be alike"
        )
    if format is not None:
        _check_fit(sheets, format, readers_by_name[format])
    reader = readers_by_name[formats_of_sheets[0]]
    return FullTable.from_cells([_labelled(reader.cells(sheet), sheet, labels) for sheet in sheets], name=_named(paths))


def write_table(path: Path | str, table: FullTable) -> None:
    """Write the table to `path` as Parquet, whole or not at all.

    Raises:
        TableError: the table cannot be one, or the file cannot be written.
        ConfigError: pyarrow is missing.
    """
    path = Path(path)
    try:
        table.check()
    except TableError as error:
        raise TableError(f"{path}: {error}") from error
    parquet = import_pyarrow("pyarrow.parquet")
    with (
        file_errors(path, TableError),
        atomic_writer(path) as file,
        parquet.ParquetWriter(file, schema(table.labels), compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in _batches(table):
            writer.write_batch(batch)


def _batches(table: FullTable) -> Iterator[Any]:
    """Yield the rows of the table, prompt after prompt, in batches of bounded size."""
    pa, k = import_pyarrow(), len(table.arms)
    step = max(_GROUP_ROWS // k, 1)
    for start in range(0, table.n, step):
        rows = slice(start, min(start + step, table.n))
        prompt_of_row = np.repeat(np.arange(rows.stop - rows.start), k)
        texts = {
            "dataset": table.datasets[rows], "prompt_id": table.prompt_ids[rows],
            "prompt": table.prompts[rows], "task": table.tasks[rows],
            **{name: column[rows] for name, column in table.labels.items()},
        }  # fmt: skip
        columns = {
            name: pa.array(column_texts, pa.string()).take(pa.array(prompt_of_row))
            for name, column_texts in texts.items()
        }
        columns["model"] = pa.array(table.arms * (rows.stop - rows.start), pa.string())
        for name in VALUES:
            values = getattr(table, name)[rows].reshape(-1)
            columns[name] = pa.array(values, pa.float64(), mask=np.isnan(values))
        of_table = schema(table.labels)
        yield pa.record_batch([columns[name] for name in of_table.names], schema=of_table)


def _labelled(cells: AnswerCells, sheet: Sheet, names: Sequence[str]) -> AnswerCells:
    """Return the answers with what other columns of the file say of each prompt: its first row's text."""
    unknown = next((name for name in names if name not in sheet.columns or name in COLUMN_NAMES), None)
    if unknown is not None:
        raise TableError(f"{sheet.path}: has no column {unknown!r} that tells prompts apart; it has {_columns(sheet)}")
    rows = np.arange(sheet.n) if cells.rows is None else cells.rows
    return replace(cells, labels={name: sheet.texts(name, default="").take(rows).to_pylist() for name in names})


def _files(path: Path | str | Sequence[Path | str]) -> list[Path]:
    """Return the files that are meant, a folder's by name."""
    paths = [Path(path)] if isinstance(path, Path | str) else [Path(file_path) for file_path in path]
    files: list[Path] = []
    for file_path in paths:
        inside = _inside(file_path) if file_path.is_dir() else [file_path]
        if not inside:
            raise TableError(f"{file_path}: holds no table, which is a file named *{', *'.join(SUFFIXES)}")
        files += inside
    if not files:
        raise TableError("there is no file to read a table from")
    return files


def _inside(folder: Path) -> list[Path]:
    """Return a folder's tables; if it has none, JSON files, which may be about anything, and those of folders in it."""
    tables = sorted(file for file in folder.glob("*") if file.suffix in SUFFIXES[:-1])
    return tables or sorted(file for file in folder.rglob("*") if file.suffix in SUFFIXES)


def _named(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _versioned(sheet: Sheet) -> Sheet:
    """Return the sheet if we did not write it, or in a version that can be read."""
    version = sheet.metadata.get(VERSION_KEY, str(VERSION).encode())
    if version != str(VERSION).encode():
        raise TableError(
            f"{sheet.path}: has schema version {version.decode(errors='replace')}, this version reads {VERSION}"
        )
    return sheet


def _format_of(sheet: Sheet, readers_by_name: Mapping[str, Reader]) -> str:
    """Return the one format that the columns fit."""
    misfits = {name: reader.mismatch(sheet) for name, reader in readers_by_name.items()}
    fits = [name for name, misfit in misfits.items() if not misfit]
    if len(fits) > 1:
        raise TableError(f"{sheet.path}: fits the formats {' and '.join(fits)}; say which one it is")
    if not fits:
        raise TableError(f"{sheet.path}: {_columns(sheet)} fit no format:{_listed(misfits)}")
    return fits[0]


def _check_fit(sheets: Sequence[Sheet], name: str, reader: Reader) -> None:
    for sheet in sheets:
        if misfit := reader.mismatch(sheet):
            raise TableError(f"{sheet.path}: {_columns(sheet)} do not fit the format {name}: {misfit}")


def _columns(sheet: Sheet) -> str:
    more = len(sheet.columns) - _COLUMNS_NAMED
    return f"columns {', '.join(sheet.columns[:_COLUMNS_NAMED])}{f' and {more} more' if more > 0 else ''}"


def _listed(misfits: Mapping[str, str]) -> str:
    return "".join(f"\n  {name}: {misfit}" for name, misfit in misfits.items())
