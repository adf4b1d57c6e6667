"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a crash, finds all of the old content or all of the new."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


_MODE = 0o666  # less what the umask takes
_OPEN_FILES = Path("/proc/self/fd")


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write; what it holds in the end takes the place of `path` at once, on the disk. Raises OSError.

    If the block raises, nothing changes. Until then the file has no name where the system allows that (Linux), so a
    process that is killed leaves nothing behind; elsewhere it leaves a hidden file beside `path`.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        hidden = path.with_name(f".{path.name}.{os.getpid()}")
        hidden.unlink(missing_ok=True)  # of a process of that number that was killed
        yield from _written(path, hidden, folder)
        os.fsync(folder)  # the name is to last, too
    finally:
        os.close(folder)


def _written(path: Path, hidden: Path, folder: int) -> Iterator[BinaryIO]:
    handle, has_name = _opened(hidden)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(handle)
            if not has_name:  # naming a folder makes os.link follow the link to the file that is open
                os.link(_OPEN_FILES / str(handle), hidden, src_dir_fd=folder, follow_symlinks=True)
        os.replace(hidden, path)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise


def _opened(hidden: Path) -> tuple[int, bool]:
    """Return a new file, and whether it has the name `hidden` already."""
    nameless = getattr(os, "O_TMPFILE", None)
    if nameless is not None and _OPEN_FILES.is_dir():
        try:
            return os.open(hidden.parent, nameless | os.O_WRONLY, _MODE), False
        except OSError:  # not every file system can; where the folder is at fault, the next line says so
            pass
    return os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), True
