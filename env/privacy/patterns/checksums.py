"""Checksums of numbers that people are known by. Each takes the number without its separators."""

from typing import Final

_LUHN: Final = [[int(digit) for digit in "0123456789"], [int(digit) for digit in "0246813579"]]
_DIHEDRAL: Final = [  # multiplication in the group of a pentagon's symmetries
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
]  # fmt: skip
_PERMUTED: Final = [
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
]  # fmt: skip
_ODD_PLACES: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def luhn(digits: str) -> bool:
    """Return whether the last digit checks the others, as on cards (ISO/IEC 7812-1)."""
    return sum(_LUHN[place % 2][int(digit)] for place, digit in enumerate(reversed(digits))) % 10 == 0


def mod_97(text: str) -> bool:
    """Return whether an IBAN's two digits check the rest (ISO 7064 mod 97-10, ISO 13616)."""
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def mod_11_2(text: str) -> bool:
    """Return whether the last character (X is 10) checks the others (ISO 7064 mod 11-2), as in China."""
    total = 0
    for char in text[:-1]:
        total = (total + int(char)) * 2 % 11
    return (total + (10 if text[-1] in "Xx" else int(text[-1]))) % 11 == 1


def mod_11_10(digits: str) -> bool:
    """Return whether the last digit checks the others (ISO 7064 mod 11,10), as in German tax numbers."""
    check = 5
    for digit in digits[:-1]:
        check = ((check or 10) * 2 % 11 + int(digit)) % 10
    return ((check or 10) * 2 % 11 + int(digits[-1])) % 10 == 1


def verhoeff(digits: str) -> bool:
    """Return whether the last digit checks the others (Verhoeff 1969), as in India's Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def weighted(digits: str, weights: tuple[int, ...]) -> int:
    """Return the sum of the first digits times their weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def cpf(digits: str) -> bool:
    """Return whether the last two digits check the others, as in Brazil; all alike is no number."""
    if len(set(digits)) == 1:
        return False
    first = weighted(digits, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(digits, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}"


def codice_fiscale(text: str) -> bool:
    """Return whether the last letter checks the fifteen characters before it, as in Italy."""
    values = [int(char, 36) - 10 if char.isalpha() else int(char) for char in text]
    total = sum(value if place % 2 else _ODD_PLACES[value] for place, value in enumerate(values[:-1]))
    return total % 26 == values[-1]
