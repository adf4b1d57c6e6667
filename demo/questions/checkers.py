"""Checkers: would the person who asked thumb this answer up? Strict about the result, easy about its dress."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Checker = Callable[[str], bool]

_NUMBER = r"-?\d+(?:,\d{3})*(?:\.\d+)?"
_OPERATOR = r"(?:[-+*/×]|x\b|and\b|plus\b|times\b)"
# What an answer gives out as a result: `= 24`, `is 24`; not the 17 of `is 17 + 7` or of `is the sum of 17 and 7`.
_CLAIM = re.compile(
    rf"(?:=|≈|\b(?:is|are|be|makes?|equals?|gets?|gives?|have|becomes)\b|'s\b)(?:\s+(?:a\s+)?total\s+of)?\s*:?\s*\**"
    rf"({_NUMBER})(?![\d.,]*\d)(?!\**\s*{_OPERATOR})"
)
_NEGATED = re.compile(r"(?:\b(?:not|never|neither|nor|hardly)|n['’]t)(?:\s+\w+){0,2}\s*$", re.IGNORECASE)
_TAKEN_BACK = re.compile(r"\b(?:but|however|although|though)\b", re.IGNORECASE)
_HEADING = re.compile(r"<(h[1-6])>\s*(.*?)\s*</\1>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^```\w*|```$")
_DRESS = " \t\n\"'`*.“”‘’"
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
# What a note's details look like, by what is asked for.
_DETAILS = {
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.\w+)*"),
    "month": re.compile(rf"\b(?:{_MONTHS})\b"),
    "price": re.compile(r"\$\d+(?:\.\d+)?|\b\d+(?= dollars\b)"),
    "time": re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?:\s*[ap]\.?m\b)?", re.IGNORECASE),
}


def names(*accepted: str) -> Checker:
    """Return a checker for answers that name one of `accepted` as whole words, whatever the case."""
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, accepted)) + r")(?!\w)", re.IGNORECASE)
    return lambda answer: pattern.search(answer) is not None


def either(right: str, labels: Mapping[str, Sequence[str]]) -> Checker:
    """Return a checker for answers that say `right`, one of two labels, in any of its words, and never the other.

    One that hedges is of no use (`positive, but ...`). A word that is denied (`not a bad film`) says the other label.
    """
    if right not in labels or len(labels) != 2:
        raise ValueError(f"labels must be two, with {right!r} among them, got {list(labels)}")
    (other,) = set(labels) - {right}
    label_of = {word: label for label, words in labels.items() for word in words}
    mention = re.compile(rf"\b(?:{'|'.join(map(re.escape, label_of))})\b", re.IGNORECASE)

    def check(answer: str) -> bool:
        said = set()
        for match in mention.finditer(answer):
            label = label_of[match[0].lower()]
            denied = _NEGATED.search(answer, 0, match.start()) is not None
            said.add({right: other, other: right}[label] if denied else label)
        return said == {right} and _TAKEN_BACK.search(answer) is None

    return check


def number(right: int) -> Checker:
    """Return a checker for answers whose result is `right`: what they claim last, or else their last number.

    Working may come before the result, and words after it. A number at which an answer was cut off claims nothing.
    """

    def check(answer: str) -> bool:
        text = answer.replace("**", "")
        results = _CLAIM.findall(text)
        if len(results) > 1 and text.endswith(results[-1]) and str(right) != results[-1]:
            is_cut_off = str(right).startswith(results[-1])
            results = results[:-1] if is_cut_off else results
        results = results or re.findall(_NUMBER, text)
        return bool(results) and float(results[-1].replace(",", "")) == right

    return check


def detail(kind: str, right: str, *, note: str) -> Checker:
    """Return a checker for answers that give one detail of a note, bare or in a sentence of their own.

    An answer that gives another one, too, has a number that the note has not, or only says the note again, has found
    nothing.
    """
    pattern, alone, repeated = _DETAILS[kind], exactly(right, ignore_case=True), " ".join(_words(note))
    numbers = {*re.findall(r"\d+", note)}

    def check(answer: str) -> bool:
        given = {_plain(match[0], kind) for match in pattern.finditer(answer)}
        is_made_up = not numbers.issuperset(re.findall(r"\d+", answer))
        is_repeated = repeated in " ".join(_words(answer))
        return alone(answer) or (given == {right.lower()} and not is_made_up and not is_repeated)

    return check


def exactly(right: str, *, ignore_case: bool = False) -> Checker:
    """Return a checker for answers that are `right` and nothing else; quotes and a full stop around it are let pass."""

    def check(answer: str) -> bool:
        bare = " ".join(answer.split()).strip(_DRESS)
        wanted = right.strip(_DRESS)
        return bare.lower() == wanted.lower() if ignore_case else bare == wanted

    return check


def heading(text: str) -> Checker:
    """Return a checker for answers that are `text` as an HTML heading of any level, in capitals or not."""

    def check(answer: str) -> bool:
        match = _HEADING.fullmatch(_unfenced(answer).strip(_DRESS))
        return match is not None and " ".join(match[2].split()).lower() == text.lower()

    return check


def json_object(right: dict[str, Any]) -> Checker:
    """Return a checker for answers that are the JSON object `right`, in a code fence or bare."""

    def check(answer: str) -> bool:
        try:
            return bool(json.loads(_unfenced(answer)) == right)
        except ValueError:
            return False

    return check


def _unfenced(answer: str) -> str:
    return _FENCE.sub("", answer.strip()).strip()


def _words(text: str) -> list[str]:
    return re.findall(r"[\w$:@]+(?:\.\w+)*", text.lower())


def _plain(given: str, kind: str) -> str:
    """Return a detail as notes have it: dollars with their sign, times without spaces."""
    text = "".join(given.lower().split())
    return f"${text.removeprefix('$')}" if kind == "price" else text.rstrip(".")
