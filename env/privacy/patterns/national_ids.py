"""Numbers that states know people by, as far as they check themselves: a table, a line each."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection
from highwayman.env.privacy.patterns.checksums import (
    codice_fiscale,
    cpf,
    luhn,
    mod_11_2,
    mod_11_10,
    verhoeff,
    weighted,
)
from highwayman.env.privacy.patterns.digit_runs import DigitRun, Number, beginnings, numbers

KIND = "national_id"
_NIF: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def _is_date(year: str, month: str, day: str) -> bool:
    return year.isdigit() and 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _ssn(number: Number) -> bool:
    """The US has no check digit: only the usual way to write it counts, and the areas that are given out."""
    area, group, serial = number.digits[:3], number.digits[3:5], number.digits[5:]
    return (
        number.shape == (3, 2, 4) and area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    )


def _nir(digits: str) -> bool:
    return digits[0] in "12378" and 97 - int(digits[:13]) % 97 == int(digits[13:])


def _pesel(digits: str) -> bool:
    is_right = weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    return is_right and _is_date(digits[:2], str(int(digits[2:4]) % 20), digits[4:6])


def _steuer_id(digits: str) -> bool:
    repeats = [digits[:10].count(digit) for digit in set(digits[:10])]
    return digits[0] != "0" and max(repeats) in (2, 3) and repeats.count(max(repeats)) == 1 and mod_11_10(digits)


def _nhs(digits: str) -> bool:
    return (11 - weighted(digits, tuple(range(10, 1, -1))) % 11) % 11 == int(digits[9])


def _ahv(digits: str) -> bool:
    return digits.startswith("756") and weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def _rrn(digits: str) -> bool:
    check = (11 - weighted(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return _is_date(digits[:2], digits[2:4], digits[4:6]) and check == int(digits[12])


def _personnummer(number: Number) -> bool:
    digits = number.digits[-10:]
    return number.shape[-1] == 4 and _is_date(digits[:2], digits[2:4], digits[4:6]) and luhn(digits)


def _resident_id(digits: str) -> bool:
    return _is_date(digits[6:10], digits[10:12], digits[12:14]) and mod_11_2(digits)


# By how many digits there are: each country's test of a number.
_OF_DIGITS: Final[dict[int, tuple[Callable[[Number], bool], ...]]] = {
    9: (_ssn,),
    10: (
        lambda number: number.shape == (3, 3, 4) and _nhs(number.digits),  # United Kingdom
        _personnummer,  # Sweden
    ),
    11: (
        lambda number: cpf(number.digits),  # Brazil
        lambda number: _pesel(number.digits),  # Poland
        lambda number: _steuer_id(number.digits),  # Germany
    ),
    12: (
        lambda number: number.digits[0] in "23456789" and verhoeff(number.digits),  # India
        _personnummer,
    ),
    13: (
        lambda number: _ahv(number.digits),  # Switzerland
        lambda number: number.shape == (6, 7) and _rrn(number.digits),  # South Korea
    ),
    15: (lambda number: _nir(number.digits),),  # France
    18: (lambda number: _resident_id(number.digits),),  # China
}

_WRITTEN: Final = beginnings(
    [
        *((size,) for size in _OF_DIGITS if size != 9),
        *((3, 2, 4), (3, 3, 4), (6, 4), (8, 4), (6, 7), (4, 4, 4), (3, 3, 3, 2), (2, 3, 3, 3), (3, 4, 4, 2)),
        *((1, 2, 2, 2, 3, 3, 2), (6, 8, 4)),
    ]
)


def _dni(match: re.Match[str]) -> bool:
    text = match[0].replace("-", "").upper()
    before = match.string[max(match.start() - 2, 0) : match.start()].rstrip("-").upper()
    number = text[:-1] if len(text) == 9 else str("XYZ".find(before[-1:] or " ")) + text[:-1]
    return number.isdigit() and _NIF[int(number) % 23] == text[-1]


def _hetu(match: re.Match[str]) -> bool:
    text = match[0].upper()
    is_date = _is_date(text[4:6], text[2:4], text[:2])
    return is_date and _HETU[int(text[:6] + text[7:10]) % 31] == text[10]


def _codice(match: re.Match[str]) -> bool:
    text = match.string[max(match.start() - 6, 0) : match.end()].upper()
    return len(text) == 16 and text.isascii() and text[:6].isalpha() and codice_fiscale(text)


# Those with letters: how they are written (from a digit on, which is fast to find), and their test.
_LETTERED: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool]], ...]] = (
    (re.compile(r"[0-9]{7,8}-?[A-Za-z](?![A-Za-z0-9])"), _dni),  # Spain
    (re.compile(r"[0-9]{6}[-+A-FU-Ya-fu-y][0-9]{3}[0-9A-Za-z](?![A-Za-z0-9])"), _hetu),  # Finland
    (re.compile(r"[0-9]{17}[Xx](?![A-Za-z0-9])"), lambda match: _resident_id(match[0])),  # China
)
_ITALIAN: Final = re.compile(r"[0-9]{2}[A-EHLMPR-Ta-ehlmpr-t][0-9]{2}[A-Za-z][0-9]{3}[A-Za-z](?![A-Za-z0-9])")


def numbered_ids(text: str, runs: list[DigitRun]) -> Iterator[Detection]:
    """Yield ids in a text that has runs of digits."""
    for run in runs:
        for number in numbers(run, _WRITTEN):
            tests = _OF_DIGITS.get(len(number.digits), ())
            if any(is_id(number) for is_id in tests) and not _ends_a_name(text, number):
                yield Detection(KIND, DataClass.PERSONAL, number.start, number.end)
    for pattern, is_right in _LETTERED:
        for match in pattern.finditer(text):
            if is_right(match):
                letter = match.start() > 0 and match.string[match.start() - 1] in "XYZxyz"  # of foreigners in Spain
                yield Detection(KIND, DataClass.PERSONAL, match.start() - letter, match.end())


def _ends_a_name(text: str, number: Number) -> bool:
    """Return whether a number is the end of something longer, such as of a UUID."""
    before = text[max(number.start - 2, 0) : number.start]
    return len(number.shape) == 1 and before[-1:] == "-" and before[:1].isalnum()


def lettered_ids(text: str) -> Iterator[Detection]:
    """Yield ids in which there are more letters than digits in a row."""
    for match in _ITALIAN.finditer(text):
        if _codice(match):
            yield Detection(KIND, DataClass.PERSONAL, match.start() - 6, match.end())
