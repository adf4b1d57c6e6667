"""A stream cut into lines, and how large an answer may be: no server decides how much memory or time it takes."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import pydantic_core

from highwayman.env.json_pieces import PIECE_BYTES, parse_json

_MIB: Final = 1 << 20
_MOST_READ_BYTES: Final = 256 * 1024  # at once, beside other work; what comes over a socket is less
_MOST_EVENT_VALUES: Final = 500_000  # values and keys of one event
_ResultT_co = TypeVar("_ResultT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class AnswerSizes:
    """The largest answers taken, in bytes as they are once unpacked; a server that sends more is at fault.

    A token takes about a kilobyte with 20 log probabilities, so 60,000 of them are still taken whole.
    """

    whole: int = 64 * _MIB
    line: int = 8 * _MIB  # of a stream: an event with an image in it
    stream: int = 1024 * _MIB

    def too_large(self) -> str:
        """Return what is said of a whole answer that is too large."""
        return f"answered with more than {_in_words(self.whole)}"

    def too_long_a_line(self) -> str:
        """Return what is said of a stream with a line that is too long."""
        return f"sent a line of more than {_in_words(self.line)}"

    def too_long_a_stream(self) -> str:
        """Return what is said of a stream that does not end."""
        return f"sent a stream of more than {_in_words(self.stream)}"


class LineSplitter:
    """Cuts bytes into lines. Each byte is joined once, however small the pieces and however long the line."""

    def __init__(self) -> None:
        self.held_bytes = 0  # of a line without its end
        self._parts: list[bytes] = []

    @property
    def holds_much(self) -> bool:
        """Whether the next line may be too long to be read without keeping an event loop waiting."""
        return self.held_bytes > PIECE_BYTES

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in `chunk`, without their ends; the rest is held."""
        first, *others = chunk.split(b"\n")
        self._hold(first)
        if not others:
            return []
        lines = [self.finish(), *others]
        self._hold(lines.pop())
        return lines

    def finish(self) -> bytes:
        """Return what is held: the last line, if it was left without its end."""
        line, self._parts, self.held_bytes = b"".join(self._parts), [], 0
        return line

    def _hold(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self.held_bytes += len(part)


class LineReader(Protocol[_ResultT_co]):
    """Whatever is fed with a stream."""

    @property
    def lines(self) -> LineSplitter:
        """Its lines."""
        ...

    def feed(self, chunk: bytes) -> _ResultT_co:
        """Take more of the stream."""
        ...


async def feed_aside(reader: LineReader[_ResultT_co], chunk: bytes) -> _ResultT_co:
    """Return what `reader.feed` does, from another thread where much is read at once."""
    if reader.lines.holds_much or len(chunk) > _MOST_READ_BYTES:
        return await asyncio.to_thread(reader.feed, chunk)
    return reader.feed(chunk)


def parse_event(data: bytes) -> Any:
    """Return the value of an event's JSON; a large one is read in pieces. Raises ValueError if it is none."""
    if len(data) <= PIECE_BYTES:
        return pydantic_core.from_json(data)
    return parse_json(data, most_values=_MOST_EVENT_VALUES)


def _in_words(size: int) -> str:
    return f"{size // _MIB} MiB" if size >= _MIB else f"{size} bytes"
