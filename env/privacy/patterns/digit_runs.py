"""Runs of digits with the signs that people put between them, and the numbers that may stand in a run."""

import re
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

_RUN: Final = re.compile(r"[0-9](?:[ .\-/()\u00a0]{0,2}[0-9]){5,}+")
_GROUP: Final = re.compile(r"[0-9]+")
_MOST_DIGITS, _MOST_GROUPS = 19, 8

Shape = tuple[int, ...]  # how many digits there are in each group of a number


class DigitRun(NamedTuple):
    """A longest stretch of six digits and more, with at most two signs between any two of them."""

    text: str  # all of the text it stands in
    start: int
    end: int
    groups: tuple[tuple[int, int], ...]  # where the digits without any sign between them stand in the text


class Number(NamedTuple):
    """Some groups of a run, one after the other, taken as one number."""

    digits: str
    shape: Shape
    start: int
    end: int


def digit_runs(text: str) -> list[DigitRun]:
    """Return the runs of a text, in order."""
    return [
        DigitRun(text, run.start(), run.end(), tuple(group.span() for group in _GROUP.finditer(text, *run.span())))
        for run in _RUN.finditer(text)
    ]


def beginnings(shapes: Collection[Shape]) -> frozenset[Shape]:
    """Return the shapes and all that they begin with."""
    return frozenset(shape[:size] for shape in shapes for size in range(1, len(shape) + 1))


def numbers(run: DigitRun, known: frozenset[Shape]) -> Iterator[Number]:
    """Yield what of a run may be one number: of a shape that people write it in, one sign between two groups.

    So a number is seen behind or before another one. A run that is short enough is also taken as a whole, whatever its
    shape is. `known` are the shapes, with all that they begin with: few of them are so long that time is not linear.
    """
    text, groups = run.text, run.groups
    for first, (start, _) in enumerate(groups):
        shape, before = Shape(), start
        for begin, end in groups[first : first + _MOST_GROUPS]:
            shape = (*shape, end - begin)
            if shape not in known or begin - before > 1:
                break
            before = end
            yield Number(_digits(text, groups[first : first + len(shape)]), shape, start, end)
    if len(groups) <= _MOST_DIGITS:
        digits = _digits(text, groups)
        if len(digits) <= _MOST_DIGITS:
            yield Number(digits, tuple(end - begin for begin, end in groups), run.start, run.end)


def _digits(text: str, groups: tuple[tuple[int, int], ...]) -> str:
    return "".join([text[begin:end] for begin, end in groups])
