"""About how many tokens a text has, by what its characters are: no tokenizer of the pool is known here.

A tokenizer first cuts a text into runs of like characters (words, numbers, signs), then each run into pieces. So does
the estimate: a run costs something, and each of its characters something more. The numbers were fitted to the
vocabularies of GPT-4o, Qwen, DeepSeek and Mistral (their geometric mean); `benchmarks/token_estimates.py` compares. How
far an arm's own tokenizer is off is learned from the usage that it reports (`env/cost/token_fit.py`).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from highwayman.env.quick_dataclass import quick_dataclass

# By kind of character: tokens a run of them begins with, and tokens for each of them. None is free: a long run of one
# kind must not pass for a short prompt.
_KINDS: Final = {
    "space": (0.02, 0.05),
    "newline": (0.30, 0.05),
    "lower": (0.50, 0.10),
    "upper": (0.49, 0.20),
    "digit": (1.34, 0.40),
    "bracket": (0.63, 0.15),  # and quotes, colons, commas: what JSON is held together by
    "sign": (0.12, 0.36),
    "latin_1": (0.00, 0.30),  # é, ß and their like
    "latin_extended": (1.78, 0.10),
    "vietnamese": (0.00, 0.10),  # letters that only Vietnamese has
    "greek": (0.39, 0.47),
    "cyrillic": (1.45, 0.10),
    "arabic": (0.96, 0.17),  # Persian, Urdu
    "hebrew": (0.64, 0.32),
    "ideograph": (0.38, 0.66),
    "kana": (0.00, 0.52),
    "hangul": (0.81, 0.43),
    "alphabet": (0.91, 0.43),  # Devanagari, Thai and all others
    "symbol": (0.21, 1.02),  # emoji, general and full-width punctuation, controls
}
_RANGES: Final = (  # first and last UTF-16 unit; what is in none is a symbol
    ("space", 0x09, 0x09), ("space", 0x0B, 0x0C), ("space", 0x20, 0x20), ("newline", 0x0A, 0x0A),
    ("newline", 0x0D, 0x0D), ("sign", 0x21, 0x7E), ("digit", 0x30, 0x39), ("upper", 0x41, 0x5A), ("lower", 0x61, 0x7A),
    ("latin_1", 0xC0, 0xFF), ("latin_extended", 0x100, 0x36F),
    ("vietnamese", 0x1A0, 0x1B0), ("greek", 0x370, 0x3FF), ("cyrillic", 0x400, 0x52F),
    ("alphabet", 0x530, 0x58F), ("hebrew", 0x590, 0x5FF), ("arabic", 0x600, 0x77F), ("alphabet", 0x780, 0x10FF),
    ("hangul", 0x1100, 0x11FF), ("alphabet", 0x1200, 0x1DFF), ("vietnamese", 0x1E00, 0x1EFF),
    ("greek", 0x1F00, 0x1FFF), ("kana", 0x3040, 0x30FF), ("kana", 0x31F0, 0x31FF), ("ideograph", 0x3400, 0x4DBF),
    ("ideograph", 0x4E00, 0x9FFF), ("alphabet", 0xA000, 0xABFF), ("hangul", 0xAC00, 0xD7AF),
    ("ideograph", 0xF900, 0xFAFF), ("hebrew", 0xFB1D, 0xFB4F), ("arabic", 0xFB50, 0xFDFF), ("arabic", 0xFE70, 0xFEFF),
)  # fmt: skip
_SCRIPTS: Final = {  # tokenizers differ in how they cut these more than in anything else
    "greek": ("greek",),
    "cyrillic": ("cyrillic",),
    "arabic": ("arabic",),
    "hebrew": ("hebrew",),
    "ideograph": ("ideograph", "kana"),
    "hangul": ("hangul",),
    "alphabet": ("alphabet",),
}
_MOST: Final = 0.4  # of a text's tokens: spaces, digits and signs are no script's
_BRACKETS: Final = "()[]{}\"',:"
_CHUNK_CHARS: Final = 65_536  # counted at a time: the arrays stay small, whatever the text
_NONE: Final = b"\xff"  # no kind: what stands before a text


@quick_dataclass(frozen=True, slots=True)
class TextTokens:
    """About how many tokens a text has, and of which script most of them are."""

    tokens: float  # >= 0
    script: str  # empty: Latin, code, numbers


def estimate_text_tokens(text: str) -> TextTokens:
    """Return about how many tokens `text` has; the time is linear in its length, whatever its characters."""
    if len(text) <= _CHUNK_CHARS and text.isascii():
        return TextTokens(_ascii_tokens(text), "")
    size = len(_KINDS)
    chars, runs = np.zeros(size), np.zeros(size)  # (19,) each, by kind
    before = ord(_NONE)
    for start in range(0, len(text), _CHUNK_CHARS):
        kinds = _kinds_of(text[start : start + _CHUNK_CHARS])  # (m,) of the chunk's m UTF-16 units
        begins = np.append(kinds[0] != before, kinds[1:] != kinds[:-1])  # (m,)
        chars += np.bincount(kinds, minlength=size)
        runs += np.bincount(kinds[begins], minlength=size)
        before = int(kinds[-1])
    tokens = runs * _PER_RUN + chars * _PER_CHAR
    total = sum(tokens.tolist())  # kind after kind, as `_ascii_tokens` does
    if text.isascii():
        return TextTokens(total, "")
    by_script = {script: float(tokens[_OF_SCRIPT[script]].sum()) for script in _OF_SCRIPT}
    script = max(by_script, key=by_script.__getitem__)
    return TextTokens(total, script if by_script[script] > _MOST * total else "")


def _ascii_tokens(text: str) -> float:
    """Return the tokens of a text of ASCII, to the last bit: counting bytes takes half the time of counting numbers."""
    kinds = text.encode("ascii").translate(_ASCII_KINDS)
    units = np.frombuffer(_NONE + kinds, dtype=np.uint8)
    begun = units[1:][units[1:] != units[:-1]].tobytes()  # of each run its first unit
    tokens: list[float] = [
        runs * run + kinds.count(kind) * char for kind, run, char in _ASCII_COSTS if (runs := begun.count(kind))
    ]
    return sum(tokens)


def _kinds_of(text: str) -> npt.NDArray[np.uint8]:
    """Return the kind of each UTF-16 unit of `text`, shape (m,)."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii").translate(_ASCII_KINDS), dtype=np.uint8)
    units: npt.NDArray[np.uint16] = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")
    return np.take(_UNIT_KINDS, units)


def _unit_kinds() -> npt.NDArray[np.uint8]:
    """Return the kind of every UTF-16 unit, shape (65536,)."""
    numbers = {kind: number for number, kind in enumerate(_KINDS)}
    table = np.full(65_536, numbers["symbol"], dtype=np.uint8)
    for kind, first, last in _RANGES:
        table[first : last + 1] = numbers[kind]
    table[[ord(char) for char in _BRACKETS]] = numbers["bracket"]
    return table


_UNIT_KINDS: Final = _unit_kinds()
_ASCII_KINDS: Final = _UNIT_KINDS[:256].tobytes()
_OF_SCRIPT: Final = {script: [list(_KINDS).index(kind) for kind in kinds] for script, kinds in _SCRIPTS.items()}
_PER_RUN: Final = np.array([per_run for per_run, _ in _KINDS.values()])
_PER_CHAR: Final = np.array([per_char for _, per_char in _KINDS.values()])
_ASCII_COSTS: Final = [  # of each kind that ASCII has: its byte, and what a run of it and a unit cost
    (number, *costs) for number, costs in enumerate(_KINDS.values()) if number in _ASCII_KINDS[:128]
]
