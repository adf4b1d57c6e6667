"""Bandit logs on disk, as Parquet: written and read chunk by chunk, so a log need not fit into memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from highwayman.env.arrow import file_errors, import_pyarrow
from highwayman.env.atomic_write import atomic_writer
from highwayman.sims.logs.logged import LogError, LoggedData
from highwayman.sims.logs.logged_rows import from_record_batch, to_record_batch
from highwayman.sims.logs.logged_schema import COLUMNS, Heading, heading_of

CHUNK_ROWS = 50_000
_BUFFER_BYTES = 2**18  # of each column that is being read


@dataclass(frozen=True, slots=True)
class LogFile:
    """A log in a file, in all Parquet files of a folder by name, or in several files, one after another.

    Everything raises LogError, which names the file, the row (from 0 in each file) and the column, and ConfigError
    where pyarrow is missing.
    """

    path: Path | str | Sequence[Path | str]
    encoder: str | None = None  # fingerprint that the features must be of; None: any, but the same in all files

    def files(self) -> list[Path]:
        """Return the files, in order."""
        paths = [self.path] if isinstance(self.path, Path | str) else self.path
        files: list[Path] = []
        for path in map(Path, paths):
            inside = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
            if not inside:
                raise LogError(f"{path}: holds no log, which is a file named *.parquet")
            files += inside
        if not files:
            raise LogError("there is no file to read a log from")
        return files

    def heading(self) -> Heading:
        """Return what the files say of themselves: arms and encoder."""
        files = self.files()
        headings = [_heading(path) for path in files]
        for path, heading in zip(files, headings, strict=True):
            encoder = headings[0].encoder if self.encoder is None else self.encoder
            if heading.encoder != encoder:
                raise LogError(
                    f"{path}: its features are of encoder {heading.encoder!r}, not {encoder!r}; they do not mix"
                )
            if heading.arms != headings[0].arms:
                raise LogError(
                    f"{path}: its arms are {', '.join(heading.arms)}, those of {files[0]} {', '.join(headings[0].arms)}"
                )
        return headings[0]

    def count(self) -> int:
        """Return the number of rounds."""
        total = 0
        for path in self.files():
            with file_errors(path, LogError), _parquet(path) as file:
                total += file.metadata.num_rows
        return total

    def chunks(self, rows: int = CHUNK_ROWS) -> Iterator[LoggedData]:
        """Yield the log in chunks of at most `rows` rounds, each checked, holding no more than one of them."""
        if rows < 1:
            raise ValueError(f"rows must be >= 1, got {rows!r}")
        heading, d = self.heading(), None
        for path in self.files():
            for chunk in _chunks(path, heading, rows, d):
                d = chunk.d
                yield chunk

    def read(self) -> LoggedData:
        """Return the whole log."""
        chunks = list(self.chunks())
        if not chunks:
            raise LogError(f"{self.files()[0]}: holds no rounds")
        return LoggedData.joined(chunks)


def write_log(path: Path | str, chunks: Iterable[LoggedData]) -> int:
    """Write chunks of a log as one file, whole or not at all; return how many rounds it holds.

    Only about one chunk is in memory at a time. What `chunks` raises is passed on.

    Raises:
        LogError: a round could not have happened, chunks differ in arms, encoder or features, there is no round, or
            the file cannot be written.
        ConfigError: pyarrow is missing.
    """
    path = Path(path)
    with ExitStack() as stack:
        with file_errors(path, LogError):
            writing = _Writing(path, stack.enter_context(atomic_writer(path)))
        stack.callback(writing.give_up)
        for chunk in chunks:
            with file_errors(path, LogError):
                writing.add(chunk)
        with file_errors(path, LogError):
            writing.end()
            stack.close()
    return writing.rows


class _Writing:
    """A log that is being written."""

    def __init__(self, path: Path, file: Any) -> None:
        self.rows = 0
        self._path = path
        self._file = file
        self._writer: Any = None
        self._first_chunk: LoggedData | None = None
        self._waiting: list[Any] = []  # batches, until they fill a row group

    def add(self, chunk: LoggedData) -> None:
        """Take the next rounds."""
        self._check(chunk)
        for start in range(0, chunk.n, CHUNK_ROWS):
            self._waiting.append(to_record_batch(chunk.take(slice(start, start + CHUNK_ROWS))))
            if sum(batch.num_rows for batch in self._waiting) >= CHUNK_ROWS:
                self._put()
        self.rows += chunk.n

    def end(self) -> None:
        """Write what is left, and the footer."""
        if not self.rows:
            raise LogError(f"{self._path}: there are no rounds to write")
        self._put()
        self._writer.close()

    def give_up(self) -> None:
        """Close the writer if it is still open: an error has come before the end."""
        if self._writer is not None:
            with suppress(import_pyarrow().ArrowException, OSError):
                self._writer.close()

    def _check(self, chunk: LoggedData) -> None:
        first_chunk = self._first_chunk = self._first_chunk or chunk
        try:
            chunk.check(first_row=self.rows)
            for attribute in ("arms", "encoder", "d"):
                value, expected = getattr(chunk, attribute), getattr(first_chunk, attribute)
                if value != expected:
                    raise LogError(
                        f"row {self.rows}: from here on {attribute} is {value!r}, before it was {expected!r}"
                    )
        except LogError as error:
            raise LogError(f"{self._path}: {error}") from error

    def _put(self) -> None:
        """Write the batches that wait as row groups."""
        if not self._waiting:
            return
        if self._writer is None:
            self._writer = import_pyarrow("pyarrow.parquet").ParquetWriter(
                self._file,
                self._waiting[0].schema,
                compression="zstd",
                use_dictionary=["arm"],
                write_page_checksum=True,
            )
        self._writer.write_table(import_pyarrow().Table.from_batches(self._waiting), row_group_size=CHUNK_ROWS)
        self._waiting = []


def _parquet(path: Path, **options: Any) -> Any:
    return import_pyarrow("pyarrow.parquet").ParquetFile(path, page_checksum_verification=True, **options)


def _heading(path: Path) -> Heading:
    with file_errors(path, LogError):
        path.stat()  # says more plainly than pyarrow that there is no such file
        with _parquet(path) as file:
            return heading_of(file.schema_arrow, str(path))


def _chunks(path: Path, heading: Heading, rows: int, d: int | None) -> Iterator[LoggedData]:
    """Yield the rounds of one file; `d` features each, if it is known."""
    rows_read = 0
    with ExitStack() as stack:
        with file_errors(path, LogError):
            options = {"read_dictionary": ["arm"], "buffer_size": _BUFFER_BYTES, "pre_buffer": False}
            file = stack.enter_context(_parquet(path, **options))
            columns = [column.name for column in COLUMNS if column.name in file.schema_arrow.names]
            batches = file.iter_batches(rows, columns=columns, use_threads=False)
        while (batch := _next(batches, f"{path}: row {rows_read} or a later one")) is not None:
            try:
                chunk = from_record_batch(batch, heading, first_row=rows_read, d=d)
            except LogError as error:
                raise LogError(f"{path}: {error}") from error
            rows_read, d = rows_read + chunk.n, chunk.d
            yield chunk


def _next(batches: Iterator[Any], where: str) -> Any:
    """Return the next batch, None after the last."""
    try:
        return next(batches, None)
    except (import_pyarrow().ArrowException, OSError) as error:
        raise LogError(f"{where}: {error}") from error
