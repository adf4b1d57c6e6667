"""Checkers: would the person who asked thumb this answer up? Strict about the result, easy about its dress."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

Checker = Callable[[str], bool]

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_DRESS = " \t\n\"'`*.“”‘’"


def names(*accepted: str) -> Checker:
    """Return a checker for answers that name one of `accepted` as whole words, whatever the case."""
    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, accepted)) + r")(?!\w)", re.IGNORECASE)
    return lambda answer: pattern.search(answer) is not None


def label(right: str, labels: Sequence[str]) -> Checker:
    """Return a checker for answers that say `right` and no other label: one that hedges is of no use."""
    others = [other for other in labels if other != right]
    says_right, says_other = names(right), names(*others)
    return lambda answer: says_right(answer) and not says_other(answer)


def number(right: int) -> Checker:
    """Return a checker for answers whose last number is `right`: working may come before the result."""

    def check(answer: str) -> bool:
        found = _NUMBER.findall(answer)
        return bool(found) and float(found[-1].replace(",", "")) == right

    return check


def exactly(right: str, *, ignore_case: bool = False) -> Checker:
    """Return a checker for answers that are `right` and nothing else; quotes and a full stop around it are let pass."""

    def check(answer: str) -> bool:
        bare = " ".join(answer.split()).strip(_DRESS)
        wanted = right.strip(_DRESS)
        return bare.lower() == wanted.lower() if ignore_case else bare == wanted

    return check


def json_object(right: dict[str, Any]) -> Checker:
    """Return a checker for answers that are the JSON object `right`, in a code fence or bare."""

    def check(answer: str) -> bool:
        text = re.sub(r"^```(?:json)?|```$", "", answer.strip()).strip()
        try:
            return bool(json.loads(text) == right)
        except ValueError:
            return False

    return check
