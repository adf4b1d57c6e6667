"""Tags: what the caller knows of a request, such as its task, as columns before the encoder's own.

Every level of a tag has a column; the last one of each tag is that of all levels without one, the rare and the new.
So a vector's length is bounded by the declaration, whatever callers send. Which columns there are stands in the
fingerprint.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from highwayman.env.types import Context, Floats

SLOTS: Final = 64  # levels told apart, of a tag that does not say
ENOUGH: Final = 20  # requests before a level is told apart from those that are rare
IMAGES: Final = "images"  # the name of the columns that say what a request's images look like
NAMED_CALL: Final = "named_call"  # the tag, of one level, of calls whose arm somebody named, where those teach

_PIECE = re.compile(r"/tags-([^/]+)$")  # of a fingerprint
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Places = Iterable[tuple[str, int]]  # of a request: a tag, and the column among that tag's of its level


@dataclass(frozen=True, slots=True)
class Tag:
    """A declared tag: its levels where they are known, otherwise how many are told apart at most."""

    name: str
    levels: tuple[str, ...] = ()
    slots: int = SLOTS

    def __post_init__(self) -> None:
        """Raise ValueError for a name that a fingerprint cannot hold, or levels that are not different."""
        if _NAME.fullmatch(self.name) is None:
            raise ValueError(f"a tag's name is of small letters, digits and _, such as task; got {self.name!r}")
        if self.slots < 1 or len(set(self.levels)) < len(self.levels):
            raise ValueError(f"tag {self.name}: needs different levels, or slots >= 1")

    @property
    def rest(self) -> int:
        """The column of levels without one of their own: the last."""
        return len(self.levels) or self.slots

    @property
    def width(self) -> int:
        """The number of its columns."""
        return self.rest + 1

    @property
    def fingerprint(self) -> str:
        """What its columns mean: another list of levels is another tag."""
        if not self.levels:
            return f"{self.name}.{self.width}"
        digest = hashlib.blake2b("\0".join(self.levels).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        return f"{self.name}.{self.width}.{digest}"

    def places(self, levels: Sequence[str]) -> list[int]:
        """Return the column of each of many requests' levels: of those that come often enough, the first ones."""
        if self.levels:
            declared = {level: place for place, level in enumerate(self.levels)}
        else:
            frequent = [level for level, count in Counter(levels).items() if level and count >= ENOUGH]
            declared = {level: place for place, level in enumerate(frequent[: self.slots])}
        return [declared.get(level, self.rest) for level in levels]


@dataclass(frozen=True, slots=True)
class MeasuredColumns:
    """Columns of numbers behind those of the tags, all 0 where there is nothing to measure, such as no image."""

    name: str
    names: tuple[str, ...]  # of the columns
    digest: str  # of how they are measured

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """What its columns mean."""
        return f"{self.name}.{self.width}.{self.digest}"


@dataclass(frozen=True, slots=True)
class TagColumns:
    """The columns of all declared tags, in the order of their declaration, and of what is measured, if anything is."""

    tags: tuple[Tag, ...] = ()
    measured: MeasuredColumns | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for two tags of one name."""
        if len({tag.name for tag in self.tags}) < len(self.tags):
            raise ValueError(f"tags must have different names, got {', '.join(tag.name for tag in self.tags)}")

    @property
    def width(self) -> int:
        """The number of all columns."""
        return sum(tag.width for tag in self.tags) + (0 if self.measured is None else self.measured.width)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns; levels are told by number, as a value may be a person's."""
        of_tags = (f"{tag.name}_{place:02d}" for tag in self.tags for place in range(tag.width))
        return (*of_tags, *(() if self.measured is None else self.measured.names))

    def fingerprint(self, base: str) -> str:
        """Return the fingerprint of an encoder's features with these columns before them."""
        pieces = [piece.fingerprint for piece in (*self.tags, self.measured) if piece is not None]
        return f"{base}/tags-{'+'.join(pieces)}" if pieces else base

    def row(self, places: Places) -> Floats:
        """Return the columns of a request, shape (width,): 1 at each of its levels; a tag that it lacks is all 0."""
        row, of_request, start = np.zeros(self.width), dict(places), 0
        for tag in self.tags:
            place = of_request.get(tag.name)
            if place is not None:
                row[start + place] = 1.0
            start += tag.width
        return row

    def apply(self, context: Context, places: Places) -> Context:
        """Return a context of an encoder without tags with these columns before its features."""
        if not self.width:
            return context
        features = np.concatenate([self.row(places), context.features])
        features.setflags(write=False)
        return replace(context, features=features, fingerprint=self.fingerprint(context.fingerprint))

    def with_measured(self, context: Context, numbers: Floats) -> Context:
        """Return a context of these columns with what was measured, (measured.width,), rounded to float32."""
        features, end = context.features.copy(), self.width
        features[end - len(numbers) : end] = numbers.astype(np.float32)
        features.setflags(write=False)
        return replace(context, features=features)


def tag_width(fingerprint: str) -> int:
    """Return how many columns of tags are at the front of the features of this fingerprint."""
    return sum(width for _, width in _pieces(fingerprint))


def has_tag(fingerprint: str, tag: Tag) -> bool:
    """Return whether features of this fingerprint have the columns of a tag as it is declared."""
    return any(piece == tag.fingerprint for piece, _ in _pieces(fingerprint))


def measured_columns(fingerprint: str) -> MeasuredColumns | None:
    """Return the columns of numbers that features of this fingerprint have, None where they have none."""
    for piece, width in _pieces(fingerprint):
        if piece.startswith(f"{IMAGES}."):
            names = tuple(f"{IMAGES}_{place:02d}" for place in range(width))
            return MeasuredColumns(IMAGES, names, piece.split(".")[2])
    return None


def named_calls_teach(fingerprint: str) -> bool:
    """Return whether the features tell calls apart whose arm somebody named, so that policies may learn from them."""
    return any(piece.startswith(f"{NAMED_CALL}.") for piece, _ in _pieces(fingerprint))


def translated(context: Context, fingerprint: str) -> Context | None:
    """Return a context in the columns of another fingerprint, None where more than tags lies between the two.

    A tag that was declared later, or with other levels, is taken for unknown: all 0.
    """
    if context.fingerprint == fingerprint:
        return context
    if base_fingerprint(context.fingerprint) != base_fingerprint(fingerprint):
        return None
    held, start = {}, 0
    for piece, width in _pieces(context.fingerprint):
        held[piece] = context.features[start : start + width]
        start += width
    columns = [held.get(piece, np.zeros(width)) for piece, width in _pieces(fingerprint)]
    return replace(context, features=np.concatenate([*columns, context.features[start:]]), fingerprint=fingerprint)


def tag_places(context: Context) -> dict[str, int]:
    """Return the column of each tag that a context has, by the tag's name."""
    places, start = {}, 0
    for piece, width in _pieces(context.fingerprint):
        columns = context.features[start : start + width]
        if columns.any() and not piece.startswith(f"{IMAGES}."):
            places[piece.split(".")[0]] = int(columns.argmax())
        start += width
    return places


def as_named(context: Context) -> Context:
    """Return the context of a call whose arm somebody named, told apart where the features have a column for it."""
    start = 0
    for piece, width in _pieces(context.fingerprint):
        if piece.startswith(f"{NAMED_CALL}."):
            features = context.features.copy()
            features[start : start + width] = np.eye(width)[0]
            features.setflags(write=False)
            return replace(context, features=features)
        start += width
    return context


def base_fingerprint(fingerprint: str) -> str:
    """Return the fingerprint without tags."""
    return _PIECE.sub("", fingerprint)


def _pieces(fingerprint: str) -> list[tuple[str, int]]:
    """Return what each tag's columns mean, and their number, in order."""
    match = _PIECE.search(fingerprint)
    return [(piece, int(piece.split(".")[1])) for piece in match[1].split("+")] if match is not None else []
