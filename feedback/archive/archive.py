"""The event log as a folder of Parquet files: for analysts, for rebuilding, and for what has left the log.

A part is named after the first and the last event it was written with, and written whole or not at all. Parts follow
one another; where they overlap, an event is read once. What is erased leaves its part, which keeps its name.
"""

import fcntl
import os
import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from highwayman.env.arrow import import_pyarrow
from highwayman.env.atomic_write import write_atomically
from highwayman.env.errors import HighwaymanError
from highwayman.feedback.archive.rows import BadRow, Row, from_record_batch, to_record_batch
from highwayman.feedback.archive.schema import LATER, VERSION, VERSION_KEY, schema
from highwayman.feedback.log.event_id import START, EventId, sort_key

_ID = re.compile(r"\d+-\d+")
_NAME = re.compile(r"events-(\d+-\d+)-(\d+-\d+)\.parquet")
_GROUP_EVENTS = 5_000  # a reader holds one row group at a time
_GROUP_BYTES = 8 * 2**20
_PATIENCE_S = 60.0  # for an export to end, before erasing
_LOOK_S = 0.1


class ArchiveError(HighwaymanError):
    """An archive cannot be used; the message names the file, and the row and the column where there are any."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file, and the first and the last event it was written with."""

    path: Path
    first: EventId
    last: EventId


class Archive:
    """The parts in one folder. Everything raises ArchiveError, and ConfigError where pyarrow is missing."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when something is put in."""
        self.folder = folder
        self._lock: int | None = None

    def files(self) -> list[ArchiveFile]:
        """Return the parts in log order."""
        try:
            named = [(path, _NAME.fullmatch(path.name)) for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveError(f"{self.folder}: {error.strerror}") from error
        files = [ArchiveFile(path, match[1], match[2]) for path, match in named if match is not None]
        return sorted(files, key=lambda part: (sort_key(part.first), sort_key(part.last)))

    def last(self) -> EventId:
        """Return the last event that was put in, `START` before the first."""
        return max((part.last for part in self.files()), key=sort_key, default=START)

    def check(self) -> None:
        """Return if every part is a whole file of this version."""
        for part in self.files():
            with _opened(part.path):
                pass

    def append(self, page: Sequence[Row]) -> Path:
        """Write events, in log order, as a part; return its path when it is on the disk."""
        numbers = [sort_key(event_id) for event_id, _, _ in page]
        if not numbers or any(earlier >= later for earlier, later in pairwise(numbers)):
            raise ValueError(f"page must hold events in log order, got {len(page)}")
        path = self.folder / f"events-{page[0][0]}-{page[-1][0]}.parquet"
        _write(path, (to_record_batch(group) for group in _groups(page)))
        return path

    def read(self, after: EventId = START) -> Iterator[list[Row]]:
        """Yield the events after `after` in log order, a row group at a time."""
        for part in self.files():
            if sort_key(part.last) > sort_key(after):
                for page in _read(part):
                    if rows := [row for row in page if sort_key(row[0]) > sort_key(after)]:
                        yield rows
                after = part.last

    def remove(self, event_ids: Collection[EventId]) -> int:
        """Rewrite the parts that hold any of these events without them; return how many rows went.

        Raises:
            ArchiveError: a part is damaged, or an export does not end; parts are rewritten one by one, and what was
                not reached is there as it was.
        """
        ids, removed = sorted(event_ids, key=sort_key), 0
        if not self.files():
            return 0
        with self.exclusive(patience_s=_PATIENCE_S):
            for part in self.files():
                start, end = (
                    bisect_left(ids, sort_key(part.first), key=sort_key),
                    bisect_right(ids, sort_key(part.last), key=sort_key),
                )
                removed += _drop(part.path, ids[start:end]) if start < end else 0
        return removed

    @contextmanager
    def exclusive(self, *, patience_s: float = 0.0) -> Iterator[None]:
        """Let nobody else export to this folder or erase from it meanwhile; what a killed one had begun is removed."""
        if self._lock is not None:
            yield
            return
        with _errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder / ".lock", time.monotonic() + patience_s)
        try:
            for leftover in self.folder.glob(".events-*.parquet.*"):
                leftover.unlink(missing_ok=True)
            yield
        finally:
            os.close(self._lock)
            self._lock = None


def _groups(page: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the events in groups, each of which fits easily into memory."""
    group: list[Row] = []
    size = 0
    for row in page:
        if group and (len(group) == _GROUP_EVENTS or size + len(row[1]) > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(row)
        size += len(row[1])
    yield group


def _read(part: ArchiveFile) -> Iterator[list[Row]]:
    with _opened(part.path) as file:
        number, first = 0, sort_key(part.first)
        before = first[0], first[1] - 1
        for group in range(file.num_row_groups):
            page = []
            for row in _rows(file.read_row_group(group)):
                location = f"{part.path}: row {number}"
                if isinstance(row, BadRow):
                    raise ArchiveError(f"{location}: {row}")
                if not _ID.fullmatch(row[0]) or not before < sort_key(row[0]) <= sort_key(part.last):
                    raise ArchiveError(f"{location}: column 'id': {row[0]!r} does not belong here")
                page.append(row)
                number, before = number + 1, sort_key(row[0])
            if page:
                yield page


def _rows(table: Any) -> Iterator[Row | BadRow]:
    for batch in table.combine_chunks().to_batches():
        yield from from_record_batch(batch)


def _drop(path: Path, event_ids: Sequence[EventId]) -> int:
    """Rewrite a part without these events, if it holds any; return how many it held."""
    ids, compute = (
        import_pyarrow(extra="parquet").array(event_ids, "string"),
        import_pyarrow("pyarrow.compute", extra="parquet"),
    )
    with _opened(path) as file:
        numbers = range(file.num_row_groups)
        hits = (compute.is_in(file.read_row_group(number, ["id"]).column(0), ids) for number in numbers)
        removed = sum(compute.sum(group).as_py() or 0 for group in hits)
        if removed:
            groups = (file.read_row_group(number) for number in numbers)
            kept_tables = (table.filter(compute.invert(compute.is_in(table.column("id"), ids))) for table in groups)
            _write(path, (batch for table in kept_tables for batch in table.to_batches()), file.schema_arrow)
    return removed


def _write(path: Path, batches: Iterable[Any], file_schema: Any = None) -> None:
    """Write a part, whole or not at all; it is on the disk, name and all: what is archived may leave the log.

    `file_schema` is that of an older part which is written anew.
    """
    sink, parquet = (
        import_pyarrow(extra="parquet").BufferOutputStream(),
        import_pyarrow("pyarrow.parquet", extra="parquet"),
    )
    with _errors(path):
        with parquet.ParquetWriter(
            sink, file_schema or schema(), compression="zstd", write_page_checksum=True
        ) as writer:
            for batch in batches:
                writer.write_batch(batch)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, sink.getvalue().to_pybytes())


def _locked(path: Path, until: float) -> int:
    """Return the lock on a file, which ends with the process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(handle)
                raise ArchiveError(f"{path.parent}: another export or erasure is at work here; try again") from None
            time.sleep(_LOOK_S)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the part's file, checked."""
    with (
        _errors(path),
        import_pyarrow("pyarrow.parquet", extra="parquet").ParquetFile(path, page_checksum_verification=True) as file,
    ):
        _check(path, file.schema_arrow)
        yield file


def _check(path: Path, file_schema: Any) -> None:
    version = (file_schema.metadata or {}).get(VERSION_KEY)
    if version is None:
        raise ArchiveError(f"{path}: is no part of an archive of Highwayman's")
    if version != str(VERSION).encode():
        raise ArchiveError(
            f"{path}: has schema version {version.decode(errors='replace')}, this version reads {VERSION}"
        )
    for field in schema():
        index = file_schema.get_field_index(field.name)
        if index < 0 and field.name in LATER:
            continue
        if index < 0:
            raise ArchiveError(f"{path}: column {field.name!r} is missing")
        if file_schema.field(index).type != field.type:
            raise ArchiveError(f"{path}: column {field.name!r} holds {file_schema.field(index).type}, not {field.type}")


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into ArchiveError."""
    try:
        yield
    except (import_pyarrow(extra="parquet").ArrowException, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        raise ArchiveError(f"{path}: {why}") from error
