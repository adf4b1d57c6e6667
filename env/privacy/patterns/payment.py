"""Payment cards and bank accounts: numbers that their own digits check."""

import re
from collections.abc import Iterator
from typing import Final

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection
from highwayman.env.privacy.patterns.checksums import luhn, mod_97
from highwayman.env.privacy.patterns.digit_runs import DigitRun, beginnings, numbers

# First digits (from, to) by how many digits a card of that issuer has.
_ISSUERS: Final = (
    (("4", "4"), (13, 16, 19)),  # Visa
    (("51", "55"), (16,)),  # Mastercard
    (("2221", "2720"), (16,)),
    (("34", "34"), (15,)),  # American Express
    (("37", "37"), (15,)),
    (("6011", "6011"), (16, 17, 18, 19)),  # Discover
    (("644", "659"), (16, 17, 18, 19)),
    (("3528", "3589"), (16, 17, 18, 19)),  # JCB
    (("300", "305"), (14, 16)),  # Diners Club
    (("36", "36"), (14, 16)),
    (("38", "39"), (14, 16)),
    (("62", "62"), (16, 17, 18, 19)),  # UnionPay
    (("50", "50"), (16, 17, 18, 19)),  # Maestro
    (("56", "58"), (16, 17, 18, 19)),
    (("63", "63"), (16, 17, 18, 19)),
    (("67", "67"), (16, 17, 18, 19)),
)
_WRITTEN: Final = beginnings(
    [
        *((size,) for size in range(13, 20)),
        (4, 4, 4, 4),
        (4, 6, 5),
        (4, 6, 4),
        (4, 4, 5),
        (4, 4, 4, 4, 3),
        (6, 13),
        (8, 8),
    ]
)
_LENGTHS: Final = {  # of an IBAN, by country (SWIFT's registry)
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_CHECK_DIGITS: Final = re.compile(r"[0-9]{2}[ \-\u00a0]?[A-Za-z0-9](?:[ \-\u00a0]?[A-Za-z0-9]){9,29}+")
_SIGNS: Final = str.maketrans("", "", " -\u00a0")


def payment_cards(runs: list[DigitRun]) -> Iterator[Detection]:
    """Yield card numbers: an issuer's first digits and length, and a digit that checks (Luhn)."""
    for run in runs:
        for number in numbers(run, _WRITTEN):
            if _is_of_issuer(number.digits) and luhn(number.digits):
                yield Detection("payment_card", DataClass.PERSONAL, number.start, number.end)


def ibans(text: str) -> Iterator[Detection]:
    """Yield bank accounts: a country's letters, as many characters as it has, and two digits that check (mod 97)."""
    for match in _CHECK_DIGITS.finditer(text):
        start = match.start() - 2
        size = _LENGTHS.get(text[start : start + 2].upper(), 0) if start >= 0 else 0
        end = _end_of(text, start, size)
        if end is not None and mod_97(text[start:end].translate(_SIGNS)):
            yield Detection("iban", DataClass.PERSONAL, start, end)


def _end_of(text: str, start: int, size: int) -> int | None:
    """Return where so many letters and digits from `start` on end, one sign between two; None where there are fewer."""
    taken, place, last = 0, start, min(len(text), start + 2 * size)
    while taken < size and place < last:
        taken, place = taken + (text[place] not in " -\u00a0"), place + 1
    is_whole = taken == size > 0 and text[start:place].translate(_SIGNS).isalnum()
    return place if is_whole and text[start:place].isascii() | ("\u00a0" in text[start:place]) else None


def _is_of_issuer(digits: str) -> bool:
    return any(len(digits) in lengths and first <= digits[: len(first)] <= last for (first, last), lengths in _ISSUERS)
