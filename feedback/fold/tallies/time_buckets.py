"""Sums over time: fine for what is recent, coarser the older it is, of bounded size however long the log."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

_FIRST_S: Final = 30  # the width of the newest buckets, in seconds
_KEPT: Final = 8  # buckets of each width that are kept at least, as long as there is room
_LEAST_KEPT: Final = 2
_MOST_CELLS: Final = 1_100  # in all buckets together: some 50 kB of JSON

Cell = tuple[str, str]  # a tenant and an arm, or what else has sums of its own


Cells = dict[Cell, list[int]]  # whole numbers, so that what is taken away leaves nothing


class Bucket:
    """The sums of one stretch of time, or the text of them that has not been read yet."""

    __slots__ = ("_text", "cells", "end", "start", "text_is_old")

    def __init__(self, start: int, end: int, text: str = "") -> None:
        """Take its beginning and its end (seconds since the epoch), and the text of its sums, empty for none."""
        self.start, self.end = start, end
        self.cells: Cells | None = None if text else {}
        self._text, self.text_is_old = text, not text

    def read(self, names: Sequence[str]) -> Cells:
        """Return its sums, to be looked at; `names` are those that its text refers to."""
        if self.cells is None:
            self.cells = dict(_parsed(self._text, names))
        return self.cells

    def change(self, names: Sequence[str]) -> Cells:
        """Return its sums, to be changed."""
        self.text_is_old = True
        return self.read(names)

    def text(self, places: Mapping[str, int]) -> str:
        """Return it as text, with the places of names; the same text as long as nothing changes."""
        if self.text_is_old:
            cells = (
                f"{places[tenant]} {places[name]} {' '.join(map(str, numbers))}"
                for (tenant, name), numbers in (self.cells or {}).items()
            )
            self._text, self.text_is_old = ";".join((f"{self.start} {self.end}", *cells)), False
        return self._text


class TimeBuckets:
    """Buckets of which those at any age are a fixed share of it wide.

    There are `kept` to `kept` + 2 buckets of each width, twice as wide each time: so the last hour, day and month each
    have some tens of them, and a year some 150 in all. Which bucket a moment falls into follows from the newest moment
    and from `kept` alone, whatever came in between; `kept` shrinks where tenants and arms are so many that the room is
    used up. It is the scheme of an exponential histogram (Datar, Gionis, Indyk & Motwani, "Maintaining Stream
    Statistics over Sliding Windows", SIAM J. Comput. 2002) with borders at multiples of the widths.
    """

    def __init__(self) -> None:
        """Start without any."""
        self.newest = 0.0  # moment, seconds since the epoch
        self.kept = _KEPT
        self._buckets: list[Bucket] = []  # in order of time
        self._starts: list[int] = []
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        self._count = 0  # of cells
        self._last: Bucket | None = None
        self._turns = 0  # the moment from which on something has become old

    def __iter__(self) -> Iterator[tuple[int, int, Cells]]:
        """Yield the beginning, the end and the sums of each bucket in order of time."""
        for bucket in self._buckets:
            yield bucket.start, bucket.end, bucket.read(self._names)

    def at(self, moment: float) -> Cells:
        """Return the sums of the bucket of a moment, to be changed; `add_cell` adds to them."""
        last = self._last
        if last is None or not last.start <= moment < last.end:
            last = self._last = self._bucket(moment)
            last.read(self._names)
        last.text_is_old = True
        return last.cells  # type: ignore[return-value]  # was read

    def add_cell(self, cells: Cells, cell: Cell, size: int) -> list[int]:
        """Return the sums of a cell that a bucket has not had, `size` noughts, to be changed."""
        for name in cell:
            self._known(name)
        numbers = cells[cell] = [0] * size
        self._count += 1
        return numbers

    def advance(self, at: float) -> None:
        """Take a moment as the newest, if it is: what has become old is put together."""
        if at <= self.newest:
            return
        before, self.newest = self.newest, at
        if at < self._turns:
            return
        width = 2 * _FIRST_S
        self._turns = (int(at // width) + 1) * width
        while int(before // width) != int(at // width) and (not self._starts or self._starts[0] < self._border(width)):
            self._merge(width)
            width *= 2
        while self._count > _MOST_CELLS and self.kept > _LEAST_KEPT:
            self.kept -= 1
            self._merge_all()

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "newest": self.newest,
            "kept": self.kept,
            "names": self._names,
            "buckets": [bucket.text(self._places) for bucket in self._buckets],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TimeBuckets":
        """Return what `to_json` wrote. Raises LookupError, TypeError or ValueError where it is damaged."""
        buckets = cls()
        buckets.newest, buckets.kept = float(values["newest"]), int(values["kept"])
        for name in values["names"]:
            buckets._known(str(name))
        for text in values["buckets"]:
            start, end = map(int, text.split(";", 1)[0].split(" "))
            buckets._buckets.append(Bucket(start, end, text))
            buckets._count += text.count(";")
        buckets._starts = [bucket.start for bucket in buckets._buckets]
        return buckets

    def _known(self, name: str) -> None:
        if name not in self._places:
            self._places[name] = len(self._names)
            self._names.append(name)

    def _border(self, width: int) -> int:
        """Return the moment before which buckets are at least so wide."""
        return (int(self.newest // width) - self.kept) * width

    def _bucket(self, at: float) -> Bucket:
        """Return the bucket of a moment, a new one where nothing was so far."""
        place = bisect_right(self._starts, at) - 1
        if place >= 0:
            bucket = self._buckets[place]
            if at < bucket.end:
                return bucket
        width = _FIRST_S
        while at < self._border(2 * width):
            width *= 2
        start = int(at // width) * width
        bucket = Bucket(start, start + width)
        self._buckets.insert(place + 1, bucket)
        self._starts.insert(place + 1, bucket.start)
        return bucket

    def _merge(self, width: int) -> None:
        """Let no bucket before the border of a width be narrower than it."""
        border = self._border(width)
        end = bisect_right(self._starts, border - 1)
        begin = end
        while begin and self._buckets[begin - 1].end - self._buckets[begin - 1].start < width:
            begin -= 1
        merged: list[Bucket] = []
        for bucket in self._buckets[begin:end]:
            start = bucket.start // width * width
            if merged and merged[-1].start == start:
                self._add(merged[-1].change(self._names), bucket.read(self._names))
                continue
            bucket.change(self._names)
            bucket.start, bucket.end = start, start + width
            merged.append(bucket)
        self._buckets[begin:end] = merged
        self._starts[begin:end] = [bucket.start for bucket in merged]
        self._last = None

    def _add(self, into: Cells, cells: Cells) -> None:
        for cell, numbers in cells.items():
            sums = into.get(cell)
            if sums is None:
                into[cell] = numbers
            else:
                into[cell] = [a + b for a, b in zip(sums, numbers, strict=True)]
                self._count -= 1

    def _merge_all(self) -> None:
        width = 2 * _FIRST_S
        while self._starts and self._starts[0] < self._border(width):
            self._merge(width)
            width *= 2


def _parsed(text: str, names: Sequence[str]) -> Iterable[tuple[Cell, list[int]]]:
    for cell in text.split(";")[1:]:
        tenant, name, *numbers = map(int, cell.split(" "))
        yield (names[tenant], names[name]), numbers
