"""What a query's form says, whatever its words mean: bounded numbers for the policies, and an estimate of tokens."""

import math
import re
from typing import Final

import numpy as np

from highwayman.env.types import Floats, Query

_Counts = tuple[int, int, int, int, int, int, int]  # what `_counts` returns

NUMERIC_VERSION: Final = "n1"  # part of every fingerprint: raise it whenever a number below changes its meaning
SAMPLE_CHARS: Final = 4_000  # shares are taken over a text's head and tail: a 30 MB prompt costs what a page costs

CHARS_PER_TOKEN_LATIN: Final = 4.2
CHARS_PER_TOKEN_SIGN: Final = 1.5  # digits and punctuation
CHARS_PER_TOKEN_ALPHABET: Final = 2.2  # Greek, Cyrillic, Arabic, Devanagari and their like
CHARS_PER_TOKEN_IDEOGRAPH: Final = 1.2  # Chinese, Japanese, Korean
TOKENS_PER_TURN: Final = 4  # the chat template's role marks
TOKENS_PER_IMAGE: Final = 576  # a guess: one 336-pixel tile in patches of 14

_PLAIN, _CAPITAL, _DIGIT, _SIGN, _TELLING = range(5)  # kinds of ASCII characters; plain are small letters and blanks
_TELLING_SIGNS = "`{};([=>:^\\$+*/-"  # an ASCII text without any of them has no math, and of code keywords at most
_HEAD_CHARS = 1_000  # capitals are counted among so many characters
_LINE_CHARS = 80
# No pattern lets two unbounded repeats meet: a hostile prompt must cost no more than another.
_KEYWORD = r"^[ \t]*(?:def|class|import|from|return|function|const|let|var|public|#include|SELECT)\b"
_CODE = re.compile(rf"```|[{{}};][ \t]*$|{_KEYWORD}|[\w\])]\(|==|!=|=>|->|::|\w\[\w", re.MULTILINE)
_CODE_KEYWORD = re.compile(_KEYWORD, re.MULTILINE)
_MATH = re.compile(r"[=^√∑∫≤≥±×÷π]|\\[a-zA-Z]+|\d ?[-+*/] ?\d|\$\S")
# Those two are tried at every letter, these only at their signs; where these find nothing, those find keywords at most.
_CODE_SIGN = re.compile(r"```|\{|\}|;|\((?<=[\w\])]\()|\[(?<=\w\[)(?=\w)|=(?:[=>]|(?<=!=))|>(?<=->)|::")
_MATH_SIGN = re.compile(r"[=^√∑∫≤≥±×÷π\\$+*/-]")
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\(?(?:\d{1,2}|[A-Za-z])[.):]) ", re.MULTILINE)


def numeric_features(query: Query) -> Floats:
    """Return the query's numeric features, shape (m,), in the order of `NUMERIC_NAMES`, each within [-1, 1]."""
    sample = sample_text(query.text, SAMPLE_CHARS)
    return _numbers(query, sample, _counts(sample))


def numbers_and_tokens(query: Query) -> tuple[Floats, int]:
    """Return `numeric_features(query)` and `estimate_tokens(query)`, from one look at the text."""
    sample = sample_text(query.text, SAMPLE_CHARS)
    counts = _counts(sample)
    tokens = query.prompt_tokens
    return _numbers(query, sample, counts), _tokens(query, len(sample), counts) if tokens is None else max(1, tokens)


def estimate_tokens(query: Query) -> int:
    """Return about how many tokens the prompt has, at least 1; no tokenizer of the pool is known here.

    Where the query does not say, its newest message is taken as a sample of the scripts of all that will be read.
    """
    if query.prompt_tokens is not None:
        return max(1, query.prompt_tokens)
    sample = sample_text(query.text, SAMPLE_CHARS)
    return _tokens(query, len(sample), _counts(sample))


def _tokens(query: Query, length: int, counts: _Counts) -> int:
    chars = max(query.prompt_chars, len(query.text), 0)
    text = chars * _tokens_per_char(length, counts)
    return max(1, math.ceil(text) + TOKENS_PER_TURN * max(0, query.turns) + TOKENS_PER_IMAGE * max(0, query.images))


def sample_text(text: str, chars: int) -> str:
    """Return `text` if it is short, else its first three quarters and last quarter of `chars` characters."""
    if len(text) <= chars:
        return text
    tail = chars // 4
    return f"{text[: chars - tail - 1]} {text[-tail:]}"


def utf8_sample(text: str, chars: int) -> str:
    """Return `sample_text(text, chars)` with lone surrogates, which no UTF-8 library takes, replaced by `?`."""
    sample = sample_text(text, chars)
    return sample if sample.isascii() else sample.encode("utf-8", "replace").decode("utf-8")


def _numbers(query: Query, sample: str, counts: _Counts) -> Floats:
    digits, signs, latin, alphabet, ideographs, capitals, telling = counts
    chars, length, breaks = len(query.text), len(sample) or 1, sample.count("\n")
    lines = max(1.0, length / _LINE_CHARS)  # shorter texts count as one
    may_be_code, may_be_math = telling and _CODE_SIGN.search(sample), telling and _MATH_SIGN.search(sample)
    code = len(_CODE.findall(sample)) if may_be_code else _at_line_starts(_CODE_KEYWORD, sample, breaks)
    amounts = (query.turns - 1, breaks, _at_line_starts(_ITEM, sample, breaks), query.tools, query.images)
    log_turns, log_breaks, log_items, log_tools, log_images = [
        math.log1p(amount) / log_full if amount > 0 else 0.0  # 1 for an amount that is full, and above
        for amount, log_full in zip(amounts, _LOG_FULL, strict=True)
    ]
    numbers: Floats = np.array(
        [
            math.log1p(max(query.prompt_chars, chars)) / 6 - 1,  # 0 for about 400 characters, 1 for about 160,000
            math.log1p(chars) / 6 - 1,
            log_turns,
            code / lines / 2,
            len(_MATH.findall(sample)) / lines / 4 if may_be_math else 0.0,
            4 * (digits / length),
            4 * (signs / length),
            (latin + alphabet + ideographs) / length,
            (alphabet + ideographs) / length,
            2 * capitals / min(length, _HEAD_CHARS),
            log_breaks,
            log_items,
            float("?" in sample or "？" in sample or "؟" in sample),
            log_tools,
            log_images,
            float(query.json_mode),
            0.0 if query.max_tokens is None else _answer_limit(query.max_tokens),
        ]
    )
    return np.minimum(numbers, 1.0, out=numbers)


def _counts(text: str) -> _Counts:
    """Return how many digits, ASCII signs, Latin letters beyond ASCII, other letters and ideographs `text` has.

    And, of all those, how many capitals its head has, and telling signs.
    """
    kinds = text.encode("ascii", "ignore").translate(_ASCII_KINDS)
    telling = kinds.count(_TELLING)
    digits, signs = kinds.count(_DIGIT), kinds.count(_SIGN) + telling
    capitals = kinds.count(_CAPITAL, 0, _HEAD_CHARS)
    if text.isascii():
        return digits, signs, 0, 0, 0, capitals, telling
    if not (head := text[:_HEAD_CHARS]).isascii():
        capitals = sum(map(str.isupper, head))
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    other = codes[codes >= 128]
    latin, letters = int((other < 0x0370).sum()), int((other < 0x2E80).sum())
    latin += int(((other >= 0x1E00) & (other < 0x2070)).sum())  # Vietnamese, quotes and dashes
    return digits, signs, latin, letters - latin, len(other) - letters, capitals, len(other)


def _ascii_kind(char: str) -> int:
    if char.isdigit():
        return _DIGIT
    if char.isalpha() or char.isspace():
        return _CAPITAL if char.isupper() else _PLAIN
    return _TELLING if char in _TELLING_SIGNS else _SIGN


def _tokens_per_char(length: int, counts: _Counts) -> float:
    digits, signs, _, alphabet, ideographs, _, _ = counts
    if not length:
        return 1 / CHARS_PER_TOKEN_LATIN
    return (
        (length - digits - signs - alphabet - ideographs) / length / CHARS_PER_TOKEN_LATIN
        + (digits + signs) / length / CHARS_PER_TOKEN_SIGN
        + alphabet / length / CHARS_PER_TOKEN_ALPHABET
        + ideographs / length / CHARS_PER_TOKEN_IDEOGRAPH
    )


def _at_line_starts(pattern: re.Pattern[str], text: str, breaks: int) -> int:
    """Return how many matches there are of a pattern that matches at the start of a line only."""
    return len(pattern.findall(text)) if breaks else int(bool(pattern.match(text)))


def _answer_limit(tokens: int) -> float:
    """Return up to 1 the shorter the answer must be (1 token: 1; 4,096: 0)."""
    return max(0.0, 1 - math.log(max(1, tokens)) / math.log(4_096))


_ASCII_KINDS: Final = bytes([_ascii_kind(chr(code)) for code in range(128)]).ljust(256)
_LOG_FULL: Final = [math.log1p(full) for full in (32, 64, 16, 16, 4)]  # turns, line breaks, items, tools, images
NUMERIC_NAMES: Final = (
    "log_prompt_chars", "log_text_chars", "log_turns", "code", "math", "digits", "signs", "non_ascii", "non_latin",
    "upper", "lines", "list_items", "asks", "tools", "images", "json_mode", "answer_limit",
)  # fmt: skip
