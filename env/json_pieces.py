"""JSON read and written in pieces: whatever the text, no single step takes longer than a few milliseconds.

Python's readers and writers of JSON are one call each, during which no other thread of the process runs: 16 MB of
`[1,1,...]` are a second of that. Here a text is cut where its structure lies (`json_structure.py`), each piece is read
by the same parser, and the values are put together. So it is meant for a thread beside an event loop.
"""

import asyncio
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pydantic_core

from highwayman.env.json_structure import Structure, scan_structure

PIECE_BYTES: Final = 64 * 1024  # larger texts are read in pieces of about this size
MOST_DEPTH: Final = 200  # of brackets, as the parser has it
LARGEST_INT: Final = 2**63

_STRING_PIECE: Final = re.compile(  # a start of a string's inside that can be read alone; no repeat gives anything back
    rb"(?:[^\\]++|(?:\\[^u])++|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|\\u(?![dD][89abAB])[0-9a-fA-F]{4})*+"
)
_LARGE_NUMBER: Final = re.compile(rb"[0-9](?:[0-9]{18}|[eE])")  # where there is neither, no number is too large
_BLANK: Final = b" \t\n\r"
_POSITION: Final = re.compile(r" at line \d+ column \d+$")
_MOST_ANSWERED: Final = 2_000_000  # values and keys: a long answer with 20 log probabilities for each token has fewer
_BATCH: Final = 256  # children written in one step, if they are small
_PIECE_CHARS: Final = 16 * 1024  # written in one step
_NODE_CHARS: Final = 16  # that a value counts for beside its text


class InvalidJson(ValueError):
    """A text that is no JSON; the message says what is wrong, and where."""


class NumberTooLarge(ValueError):
    """A number that JSON can write and hardly any server can read."""


def parse_json(raw: bytes, *, most_values: int) -> Any:
    """Return the value of the JSON text in `raw`; of equal keys, the last one counts.

    Raises:
        InvalidJson: it is none; NaN and infinities are none.
        NumberTooLarge: a number is infinite as a float, or an integer beyond 64 bits.
        TooManyValues: it has more than about `most_values` values and keys; small texts are not counted.
    """
    if len(raw) <= PIECE_BYTES:
        return _parse(raw)
    structure = scan_structure(raw, most_values=most_values)
    if len(structure.depths) and int(structure.depths.max()) > MOST_DEPTH:
        raise InvalidJson("recursion limit exceeded")
    return _Reader(raw, structure).value(0, len(raw))


def dump_json(value: Any) -> bytes:
    """Return a value of JSON as text, as `json.dumps` writes it without blanks and in UTF-8."""
    pieces: list[bytes] = []
    _write(value, lambda text: pieces.append(text.encode()))
    return b"".join(pieces)


async def dump_aside(value: Any, *, large: bool) -> bytes:
    """Return a value of JSON as text, without blanks and in UTF-8, of a large value from another thread."""
    if large:
        return await asyncio.to_thread(dump_json, value)
    return pydantic_core.to_json(value)  # a sixth of what Python's own takes, which writes 1e-05 where it writes 1e-5


async def parse_aside(raw: bytes) -> Any:
    """Return the value of a server's answer, of a large one from another thread.

    Raises:
        ValueError: it is no JSON, or has more values and keys than any answer needs.
    """
    if len(raw) <= PIECE_BYTES:
        return pydantic_core.from_json(raw)
    return await asyncio.to_thread(parse_json, raw, most_values=_MOST_ANSWERED)


def _parse(text: bytes, *, at: int | None = None) -> Any:
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        reason = str(error) if at is None else f"{_POSITION.sub('', str(error))} behind byte {at}"
        raise InvalidJson(reason) from None
    if not isinstance(value, str) and _LARGE_NUMBER.search(text):
        _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            _check_numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner)
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) > LARGEST_INT
    ):
        raise NumberTooLarge("a number is too large")


class _Reader:
    """Reads the values of one large text; offsets are in bytes, `depth` counts the brackets that are open."""

    def __init__(self, raw: bytes, structure: Structure) -> None:
        self._raw = raw
        self._structure = structure

    def value(self, start: int, end: int, depth: int = 0) -> Any:
        """Return the value between two offsets. Raises InvalidJson."""
        start, end = self._behind_blanks(start, end), self._before_blanks(start, end)
        if end - start <= PIECE_BYTES:
            return _parse(self._raw[start : max(start, end)], at=start)
        first, last = self._raw[start : start + 1], self._raw[end - 1 : end]
        if first == b'"' == last:
            return self._string(start + 1, end - 1)
        if first + last == b"[]":
            return self._array(start, end, depth + 1)
        if first + last == b"{}":
            return self._object(start, end, depth + 1)
        if first in (b'"', b"[", b"{"):
            raise InvalidJson(f"what begins at byte {start} does not end where it should")
        return _parse(self._raw[start:end], at=start)

    def _behind_blanks(self, start: int, end: int) -> int:
        while start < end:
            window = self._raw[start : min(end, start + PIECE_BYTES)]
            rest = len(window.lstrip(_BLANK))
            start += len(window) - rest
            if rest:
                break
        return start

    def _before_blanks(self, start: int, end: int) -> int:
        while start < end:
            window = self._raw[max(start, end - PIECE_BYTES) : end]
            rest = len(window.rstrip(_BLANK))
            end -= len(window) - rest
            if rest:
                break
        return end

    def _string(self, start: int, end: int) -> str:
        parts = []
        while start < end:
            cut = self._string_cut(start, end)
            part = _parse(b'"' + self._raw[start:cut] + b'"', at=start)
            parts.append(part)
            start = cut
        return "".join(parts)

    def _string_cut(self, start: int, end: int) -> int:
        """Return where a piece of a string's inside may end: between two characters, and not within an escape."""
        if end - start <= PIECE_BYTES:
            return end
        match = _STRING_PIECE.match(self._raw, start, start + PIECE_BYTES)
        cut = match.end() if match is not None else start
        for _ in range(3):
            if cut > start and self._raw[cut] & 0xC0 == 0x80:  # within a character of several bytes
                cut -= 1
        return cut if cut > start else start + PIECE_BYTES  # what cannot be cut is wrong, and the parser says so

    def _array(self, start: int, end: int, depth: int) -> list[Any]:
        values: list[Any] = []
        for count, group_start, group_end in self._groups(start, end, depth):
            if count == 1:
                values.append(self.value(group_start, group_end, depth))
                continue
            group = _parse(b"[" + self._raw[group_start:group_end] + b"]", at=group_start)
            if len(group) != count:  # a comma with nothing behind it
                raise InvalidJson(f"expected value behind byte {group_start}")
            values += group
        return values

    def _object(self, start: int, end: int, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for count, group_start, group_end in self._groups(start, end, depth):
            if count == 1 and group_end - group_start > PIECE_BYTES:
                key, value = self._member(group_start, group_end, depth)
                members[key] = value
                continue
            text = self._raw[group_start:group_end]
            if not text.strip(_BLANK):
                raise InvalidJson(f"key must be a string behind byte {group_start}")
            members.update(_parse(b"{" + text + b"}", at=group_start))
        return members

    def _member(self, start: int, end: int, depth: int) -> tuple[str, Any]:
        marks = self._structure.between(start, end)
        if marks.start == marks.stop or self._structure.marks[marks.start] != ord(":"):
            raise InvalidJson(f"expected `:` behind byte {start}")
        colon = int(self._structure.places[marks.start])
        key = self.value(start, colon, depth)
        if not isinstance(key, str):
            raise InvalidJson(f"key must be a string behind byte {start}")
        return key, self.value(colon + 1, end, depth)

    def _groups(self, start: int, end: int, depth: int) -> Iterator[tuple[int, int, int]]:
        """Yield runs of the children of the container between two offsets: how many, from where, to where.

        A run of several is at most a piece long. Raises InvalidJson where the container does not end at its end.
        """
        marks = self._structure.between(start + 1, end - 1)
        depths, at_depth = self._structure.depths[marks], self._structure.marks[marks]
        own = depths == depth
        if (depths < depth).any() or not np.isin(at_depth[own], _SEPARATORS).all() or not self._closes(end - 1, depth):
            raise InvalidJson(f"what begins at byte {start} does not end where it should")
        commas = self._structure.places[marks][own & (at_depth == ord(","))]
        if not len(commas) and self._behind_blanks(start + 1, end - 1) == end - 1:
            return
        starts, ends = np.append(start + 1, commas + 1), np.append(commas, end - 1)
        first = 0
        while first < len(starts):
            after = int(np.searchsorted(ends, starts[first] + PIECE_BYTES, side="right"))
            after = max(after, first + 1)
            yield after - first, int(starts[first]), int(ends[after - 1])
            first = after

    def _closes(self, place: int, depth: int) -> bool:
        """Return whether a bracket at this offset closes one at this depth; else it stands in a string."""
        mark = self._structure.between(place, place + 1)
        return mark.stop > mark.start and int(self._structure.depths[mark.start]) == depth


_SEPARATORS: Final = np.frombuffer(b",:", dtype=np.uint8)


_dumps: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _write(value: Any, write: Callable[[str], None]) -> None:
    """Write a value in steps, each of them small."""
    if _weight(value, _PIECE_CHARS) <= _PIECE_CHARS:
        write(_dumps(value))
    elif isinstance(value, str):
        write('"')
        for start in range(0, len(value), _PIECE_CHARS):
            write(_dumps(value[start : start + _PIECE_CHARS])[1:-1])
        write('"')
    elif isinstance(value, dict):
        _write_batches(list(value.items()), write, "{}", as_object=True)
    else:
        _write_batches(value, write, "[]", as_object=False)


def _write_batches(children: list[Any], write: Callable[[str], None], brackets: str, *, as_object: bool) -> None:
    write(brackets[0])
    for start in range(0, len(children), _BATCH):
        batch = children[start : start + _BATCH]
        if start:
            write(",")
        if _weight(batch, _PIECE_CHARS) <= _PIECE_CHARS:
            write(_dumps(dict(batch) if as_object else batch)[1:-1])
            continue
        for place, child in enumerate(batch):
            if place:
                write(",")
            if as_object:
                _write(child[0], write)
                write(":")
            _write(child[1] if as_object else child, write)
    write(brackets[1])


def _weight(value: Any, limit: int) -> int:
    """Return about how many characters a value takes written down; more than `limit` as soon as that is clear."""
    if isinstance(value, str):
        return len(value) + _NODE_CHARS
    weight = _NODE_CHARS
    if isinstance(value, list | tuple | dict):
        if len(value) * _NODE_CHARS > limit:
            return limit + 1
        children = (part for member in value.items() for part in member) if isinstance(value, dict) else value
        for child in children:
            weight += _weight(child, limit - weight)
            if weight > limit:
                break
    return weight
