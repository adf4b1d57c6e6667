"""pyarrow, where it is installed, and what goes wrong with its files."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from highwayman.env.errors import ConfigError, HighwaymanError

_READ_WITH_IT = {"parquet": "an archive is", "sims": "tables and logs are"}  # by the extra that brings it


def import_pyarrow(module: str = "pyarrow", *, extra: str = "sims") -> Any:
    """Return pyarrow, or a module of it. Raises ConfigError, which names the extra, where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{_READ_WITH_IT[extra]} read and written with pyarrow: pip install 'highwayman[{extra}]' ({error})"
        ) from None


@contextmanager
def file_errors(path: Path, kind: type[HighwaymanError]) -> Iterator[None]:
    """Turn what goes wrong with a file into an error of that kind, whose message begins with the file's path."""
    try:
        yield
    except (import_pyarrow().ArrowException, OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error).partition("\n")[0]
        raise kind(f"{path}: {why}") from error
