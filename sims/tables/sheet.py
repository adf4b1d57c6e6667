"""A file of columns, whatever it is stored in: text and numbers of a column, checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from highwayman.env.arrow import import_pyarrow
from highwayman.env.types import Floats
from highwayman.sims.logs.logged import Bools
from highwayman.sims.tables.table_cells import TableError, check_values


class ColumnSource(Protocol):
    """What the columns are stored in. Everything raises TableError, naming the file and the row if one is to blame."""

    def texts(self, column: str) -> Any:
        """Return the column as an Arrow array of strings, null where there is nothing."""

    def numbers(self, column: str) -> Any:
        """Return the column as an Arrow array of doubles, null where there is nothing; true is 1 and false 0."""

    def objects(self, column: str, *, upto: int | None = None) -> list[Any]:
        """Return the column as Python values, or those of its first rows, None where there is nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """n rows of named columns."""

    path: Path
    columns: tuple[str, ...]
    n: int
    source: ColumnSource
    where: Callable[[int], str]  # names a row (from 0) for messages, with the file
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)

    def texts(self, column: str, *, default: str | None = None) -> Any:
        """Return a column of text, an Arrow array of n strings; `default` stands in for null and for the whole column.

        Raises:
            TableError: it is no text, or there is none in some row and no `default`.
        """
        pa = import_pyarrow()
        if column not in self.columns and default is not None:
            return pa.array([default] * self.n, pa.large_string())
        texts = self.source.texts(column)
        if texts.null_count and default is None:
            row = int(np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False))[0])
            raise TableError(f"{self.where(row)}: {column} is missing")
        return texts.fill_null(default) if texts.null_count else texts

    def numbers(self, column: str, *, kind: str) -> Floats:
        """Return a column of numbers, shape (n,), NaN for null; all NaN if there is no such column.

        Args:
            column: its name in the file.
            kind: what it holds: quality, which must be in [0, 1], or a measure, which must be >= 0 or may be NaN.

        Raises:
            TableError: some row holds no number, or one that cannot be.
        """
        if column not in self.columns:
            return np.full(self.n, np.nan)
        array = self.source.numbers(column)
        values: Floats = array.to_numpy(zero_copy_only=False)
        known: Bools = array.is_valid().to_numpy(zero_copy_only=False)
        label = kind if column == kind else f"{kind} (column {column!r})"
        check_values(values, kind, known=known, where=self.where, named=label)
        return values

    def objects(self, column: str, *, upto: int | None = None) -> list[Any]:
        """Return a column as Python values, or the first `upto` of them, None for null."""
        return self.source.objects(column, upto=upto)

    def lacking(self, *columns: str) -> str:
        """Return which of these columns the file lacks, in words; nothing if none."""
        missing = [column for column in columns if column not in self.columns]
        return f"lacks {', '.join(missing)}" if missing else ""
