"""E-mail addresses and telephone numbers."""

import re
from collections.abc import Iterator
from typing import Final

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection
from highwayman.env.privacy.patterns.digit_runs import DigitRun

_DOMAIN: Final = re.compile(r"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])")
_LONGEST_NAME = 64  # characters before the @ (RFC 5321)
_NAME: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\-]{1,64}\Z")
_PLUS: Final = re.compile(r"\+[1-9](?:[ ().\-/\u00a0]{0,2}[0-9]){6,14}+(?![0-9])")


def emails(text: str) -> Iterator[Detection]:
    """Yield e-mail addresses, found by what stands behind the @."""
    for match in _DOMAIN.finditer(text):
        name = _NAME.search(text, max(match.start() - _LONGEST_NAME, 0), match.start())
        if name is not None:
            yield Detection("email", DataClass.PERSONAL, name.start(), match.end())


def phones(text: str, runs: list[DigitRun]) -> Iterator[Detection]:
    """Yield telephone numbers: with a country (E.164), as in North America (3-3-4), or with a 0 before the area."""
    for match in _PLUS.finditer(text):
        yield Detection("phone", DataClass.PERSONAL, match.start(), match.end())
    for run in runs:
        if _is_national(run):
            has_bracket = run.text[run.start - 1 : run.start] == "("
            yield Detection("phone", DataClass.PERSONAL, run.start - has_bracket, run.end)


def _is_national(run: DigitRun) -> bool:
    groups = [run.text[begin:end] for begin, end in run.groups]
    sizes, digits = [len(group) for group in groups], "".join(groups)
    if sizes == [3, 3, 4] or (sizes == [1, 3, 3, 4] and groups[0] == "1"):
        return all(group[0] in "23456789" for group in groups[-3:-1])
    if len(groups) == 1 or not 9 <= len(digits) <= 15 or digits[0] != "0":
        return False
    return sizes[0] >= 3 or sizes == [2, 2, 2, 2, 2]  # not a date
