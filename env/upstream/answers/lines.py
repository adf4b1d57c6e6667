"""A stream cut into lines, and how large an answer may be: no server decides how much memory or time it takes."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import pydantic_core

from highwayman.env.json_pieces import PIECE_BYTES, parse_json

_MIB: Final = 1 << 20
_MOST_READ_BYTES: Final = 256 * 1024  # at once, beside other work; what comes over a socket is less
_MOST_EVENT_VALUES: Final = 500_000  # values and keys of one event
_DATA: Final = b"data:"
_DONE: Final = b"[DONE]"
_MARK: Final = b"\xef\xbb\xbf"  # of UTF-8, before the first line
_LINE_END: Final = re.compile(rb"\r\n?|\n")
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


class EventLineSplitter(LineSplitter):
    """Cuts a stream into lines, which end in carriage returns alone if the first of them does (WHATWG HTML, 9.2.5)."""

    def __init__(self) -> None:
        super().__init__()
        self._is_new = True
        self._knows_end = False  # whether the end of a line has come
        self._returns_end_lines = False
        self._ends_in_return = False  # what came last

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in `chunk`, without their ends; the rest is held."""
        if not self._knows_end and chunk:
            chunk = self._see_first_end(chunk)
        if self._returns_end_lines and chunk:
            rest = chunk[1:] if self._ends_in_return and chunk.startswith(b"\n") else chunk
            self._ends_in_return = chunk.endswith(b"\r")
            chunk = rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return super().feed(chunk)

    def _see_first_end(self, chunk: bytes) -> bytes:
        """Return `chunk` without the mark before all, and with the end of the line that is held if it is known now."""
        if self._is_new:
            self._is_new, chunk = False, chunk.removeprefix(_MARK)
        if self._ends_in_return:
            self._knows_end, self._returns_end_lines = True, not chunk.startswith(b"\n")
            self._ends_in_return = False
            if self._returns_end_lines:
                return self.finish()[:-1] + b"\r" + chunk
            return chunk
        end = _LINE_END.search(chunk)
        if end is not None:
            self._ends_in_return = end[0] == b"\r" and end.end() == len(chunk)
            self._knows_end = not self._ends_in_return
            self._returns_end_lines = self._knows_end and end[0] == b"\r"
        return chunk


class SplitEvent:
    """An event whose value is spread over several `data` lines (WHATWG HTML, 9.2.6), held until it is whole."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self._lines: list[bytes] = []

    def __bool__(self) -> bool:
        """Return whether there are any lines."""
        return bool(self._lines)

    def add(self, line: bytes) -> None:
        """Hold one of its lines, from `data:` on."""
        self._lines.append(line)
        self.held_bytes += len(line)

    def takes(self, line: bytes) -> bool:
        """Return whether a `data` line goes on with what is held, and is no event by itself: many end no event."""
        if not self._lines or line[len(_DATA) :].strip() == _DONE:
            return False
        try:
            event = parse_event(line[len(_DATA) :])
        except ValueError:
            return True
        return not (isinstance(event, dict) and ("choices" in event or "error" in event))

    def take(self) -> tuple[bytes, list[bytes]]:
        """Return its value on one line, empty if it is no JSON, and its lines; nothing is held any more.

        A line's end inside of JSON is as good as a space, but for one in a string, where there must be none.
        """
        lines, self._lines, self.held_bytes = self._lines, [], 0
        whole = b"\n".join([line[len(_DATA) :].removesuffix(b"\r") for line in lines])
        try:
            parse_event(whole)
        except ValueError:
            return b"", lines
        return whole.replace(b"\n", b" "), lines


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
