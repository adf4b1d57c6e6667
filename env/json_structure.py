"""Where a JSON text's structure lies, found without building a single value: the same work for each byte, whichever."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

_BLOCK_BYTES: Final = 128 * 1024  # scanned in one go; the loop of other threads gets its turn in between

_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_KIND: Final = np.zeros(256, dtype=np.int8)  # 1: a separator, 2: an opening bracket, 3: a closing one
_KIND[[ord(","), ord(":")]] = 1
_KIND[[ord("["), ord("{")]] = 2
_KIND[[ord("]"), ord("}")]] = 3

Places = npt.NDArray[np.int64]


class TooManyValues(ValueError):
    """A text that holds more values and keys than may be built."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The brackets, commas and colons outside strings: n of them, in order."""

    places: Places  # (n,) offsets in bytes
    marks: npt.NDArray[np.uint8]  # (n,) the bytes there
    depths: Places  # (n,) how many brackets are open: before a closing one, behind an opening one

    def between(self, start: int, end: int) -> slice:
        """Return which of them lie at offsets from `start` up to, not including, `end`."""
        first, last = np.searchsorted(self.places, (start, end))
        return slice(int(first), int(last))


@dataclass(slots=True)
class _Scan:
    """What one block hands on to the next."""

    in_string: bool = False
    backslashes: int = 0  # how many the text scanned so far ends in
    depth: int = 0
    counted: int = 0
    places: list[Places] = field(default_factory=list)
    marks: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    depths: list[Places] = field(default_factory=list)


def scan_structure(raw: bytes, *, most_values: int) -> Structure:
    """Return the structure of the JSON in `raw`; of what is no JSON, up to its first fault, too.

    Raises:
        TooManyValues: it has more than about `most_values` values and keys.
    """
    scan = _Scan()
    data = np.frombuffer(raw, dtype=np.uint8)
    for start in range(0, len(data), _BLOCK_BYTES):
        _scan_block(scan, data[start : start + _BLOCK_BYTES], start)
        if scan.counted > most_values:
            raise TooManyValues(f"more than {most_values} values and keys")
    if not scan.places:
        return Structure(np.empty(0, np.int64), np.empty(0, np.uint8), np.empty(0, np.int64))
    return Structure(np.concatenate(scan.places), np.concatenate(scan.marks), np.concatenate(scan.depths))


def _scan_block(scan: _Scan, block: npt.NDArray[np.uint8], start: int) -> None:
    quotes = _string_ends(scan, block)
    kinds = _KIND[block]
    places = np.flatnonzero(kinds)
    inside = (np.searchsorted(quotes, places) + scan.in_string) % 2 == 1
    places = places[~inside]
    kinds = kinds[places]
    opening, closing = kinds == 2, kinds == 3
    after = scan.depth + np.cumsum(opening.astype(np.int64) - closing)
    scan.in_string = bool((len(quotes) + scan.in_string) % 2)
    scan.counted += len(places) - int(np.count_nonzero(closing))
    if len(places):
        scan.depth = int(after[-1])
    scan.places.append(places + start)
    scan.marks.append(block[places])
    scan.depths.append(after + closing)


def _string_ends(scan: _Scan, block: npt.NDArray[np.uint8]) -> Places:
    """Return where strings begin or end in the block, shape (q,): at quotes behind an even number of backslashes."""
    quotes = np.flatnonzero(block == _QUOTE)
    is_backslash = block == _BACKSLASH
    if not scan.backslashes and not is_backslash.any():
        return quotes
    others = np.flatnonzero(~is_backslash)  # a run of backslashes ends before one of these
    places_among_others = np.searchsorted(others, quotes)
    before = np.where(places_among_others > 0, others[places_among_others - 1], -1)
    run = quotes - before - 1 + np.where(before < 0, scan.backslashes, 0)
    trailing = len(block) - 1 - int(others[-1]) if len(others) else scan.backslashes + len(block)
    scan.backslashes = trailing % 2
    ends: Places = quotes[run % 2 == 0]
    return ends
