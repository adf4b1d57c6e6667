"""Files that are written whole or not at all, and are on the disk when the call returns."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_MODE = 0o666  # less what the umask takes
_PRIVATE_MODE = 0o600
_OPEN_FILES = Path("/proc/self/fd")


def write_atomically(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write `data` to `path` so that a reader, or a crash, finds all of the old content or all of the new.

    Args:
        path: the file; its folder must be there.
        data: the new content.
        private: whether only the owner may read and write the file; else it gets the umask's usual mode.

    Raises:
        OSError: the file cannot be written; the old one is there as it was.
    """
    with atomic_writer(path, private=private) as file:
        file.write(data)


@contextmanager
def atomic_writer(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write; what it holds in the end takes the place of `path` at once, on the disk. Raises OSError.

    If the block raises, nothing changes. Until then the file has no name where the system allows that (Linux), so a
    process that is killed leaves nothing behind; elsewhere it leaves a hidden file beside `path`. `private` is as in
    `write_atomically`, from the file's first byte on.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Not named after the process: in two containers that share a folder, both may have the same number.
        hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        yield from _written(path, hidden, folder, _PRIVATE_MODE if private else _MODE)
        os.fsync(folder)  # the name is to last, too
    finally:
        os.close(folder)


def _written(path: Path, hidden: Path, folder: int, mode: int) -> Iterator[BinaryIO]:
    handle, has_name = _opened(hidden, mode)
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


def _opened(hidden: Path, mode: int) -> tuple[int, bool]:
    """Return a new file, and whether it has the name `hidden` already."""
    nameless = getattr(os, "O_TMPFILE", None)
    if nameless is not None and _OPEN_FILES.is_dir():
        try:
            return os.open(hidden.parent, nameless | os.O_WRONLY, mode), False
        except OSError:  # not every file system can; where the folder is at fault, the next line says so
            pass
    return os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), True
