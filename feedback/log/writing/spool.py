"""A bounded file of events that could not reach the log: appended to, synced, drained from its head.

A frame is its length and CRC-32 (two little-endian 32-bit numbers), then the event's bytes. The file begins with eight
bytes: how far it has been drained. What a crash left half written at the end was never acknowledged, and is cut off.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from highwayman.env.errors import ConfigError, HighwaymanError

_HEAD = struct.Struct("<Q")
_FRAME = struct.Struct("<II")
_MOST_SPOOLS = 1024


class SpoolFull(HighwaymanError):
    """The spool, or its disk, takes nothing more; nothing was written."""


class Spool:
    """One process's spool; the file is locked as long as it is open."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        """Open or make the file.

        Raises:
            BlockingIOError: another process has it open.
            OSError: the file cannot be made or read.
        """
        self.path = path
        self._limit_bytes = limit_bytes
        self._start = self._end = _HEAD.size
        self._count = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._recover()
        except BaseException:
            os.close(self._file)
            raise

    def __len__(self) -> int:
        """Return how many events wait."""
        return self._count

    def append(self, events: Sequence[bytes]) -> None:
        """Write events at the end; they survive this process, and the machine after `sync`. Raises SpoolFull."""
        data = b"".join(_FRAME.pack(len(event), zlib.crc32(event)) + event for event in events)
        if self._end + len(data) > self._limit_bytes:
            raise SpoolFull(f"the spool {self.path.name} holds {self._end} bytes of {self._limit_bytes} allowed")
        try:
            _write_all(self._file, data, self._end)
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise SpoolFull(f"the spool {self.path.name} cannot grow: {error.strerror}") from error
        self._end += len(data)
        self._count += len(events)

    def sync(self) -> None:
        """Return once everything appended is on the disk. Raises OSError."""
        os.fdatasync(self._file)

    def peek(self, count: int) -> list[bytes]:
        """Return up to `count` of the oldest events that wait."""
        events: list[bytes] = []
        at = self._start
        while len(events) < count and at < self._end:
            length, _ = _FRAME.unpack(os.pread(self._file, _FRAME.size, at))
            events.append(os.pread(self._file, length, at + _FRAME.size))
            at += _FRAME.size + length
        return events

    def drop(self, events: Sequence[bytes]) -> None:
        """Forget these events, which `peek` returned: they are on the log."""
        self._start += sum(_FRAME.size + len(event) for event in events)
        self._count -= len(events)
        if self._count:
            _write_all(self._file, _HEAD.pack(self._start), 0)
        else:
            self._empty()

    def close(self) -> None:
        """Let go of the file, and remove it if nothing waits."""
        if not self._count:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _recover(self) -> None:
        """Find what waits, and cut off what was half written."""
        data = os.pread(self._file, os.fstat(self._file).st_size, 0)
        start = _HEAD.unpack_from(data)[0] if len(data) >= _HEAD.size else _HEAD.size
        self._start = at = max(start, _HEAD.size)
        while (length := _whole(data, at)) is not None:
            at += _FRAME.size + length
            self._count += 1
        self._end = at
        if self._count:
            os.ftruncate(self._file, self._end)
        else:
            self._empty()

    def _empty(self) -> None:
        os.ftruncate(self._file, 0)
        self._start = self._end = _HEAD.size


def claim_spools(folder: Path, *, limit_bytes: int) -> list[Spool]:
    """Return the spools in `folder` that no process has open, the first of them for this process's own events.

    Those behind it are of processes that died: their events wait to be drained by whoever finds them.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    spools: list[Spool] = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        waiting = sorted(folder.glob("*.spool"))
        fresh = (folder / f"{number:04}.spool" for number in range(_MOST_SPOOLS))
        for path in (*waiting, *fresh):
            if spools and path not in waiting:
                break
            try:
                spools.append(Spool(path, limit_bytes=limit_bytes))
            except BlockingIOError:
                continue
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; give a --state-dir that can be written to") from error
    if not spools:
        raise ConfigError(f"{folder}: {_MOST_SPOOLS} processes use it already; give another --state-dir")
    return spools


def _whole(data: bytes, at: int) -> int | None:
    """Return the length of the event framed at `at`, or None if no whole one is there."""
    if at + _FRAME.size > len(data):
        return None
    length, checksum = _FRAME.unpack_from(data, at)
    event = data[at + _FRAME.size : at + _FRAME.size + length]
    return length if length and len(event) == length and zlib.crc32(event) == checksum else None


def _write_all(file: int, data: bytes, at: int) -> None:
    """Write `data` at `at`, in as many pieces as the kernel takes it. Raises OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written
