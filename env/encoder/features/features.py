"""What a query's form says, whatever its words mean: bounded numbers for the policies, and an estimate of tokens."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from highwayman.env.types import Floats, Query

NUMERIC_VERSION: Final = "n1"  # part of every fingerprint: raise it whenever a number below changes its meaning
SAMPLE_CHARS: Final = 4_000  # shares are taken over a text's head and tail: a 30 MB prompt costs what a page costs

CHARS_PER_TOKEN_LATIN: Final = 4.2
CHARS_PER_TOKEN_SIGN: Final = 1.5  # digits and punctuation
CHARS_PER_TOKEN_ALPHABET: Final = 2.2  # Greek, Cyrillic, Arabic, Devanagari and their like
CHARS_PER_TOKEN_IDEOGRAPH: Final = 1.2  # Chinese, Japanese, Korean
TOKENS_PER_TURN: Final = 4  # the chat template's role marks
TOKENS_PER_IMAGE: Final = 576  # a guess: one 336-pixel tile in patches of 14

_LETTER, _DIGIT, _SPACE, _SIGN, _LATIN, _ALPHABET, _IDEOGRAPH = range(7)
# No pattern lets two unbounded repeats meet: a hostile prompt must cost no more than another.
_KEYWORD = r"^[ \t]*(?:def|class|import|from|return|function|const|let|var|public|#include|SELECT)\b"
_CODE = re.compile(rf"```|[{{}};][ \t]*$|{_KEYWORD}|[\w\])]\(|==|!=|=>|->|::|\w\[\w", re.MULTILINE)
_CODE_KEYWORD = re.compile(_KEYWORD, re.MULTILINE)
_MATH = re.compile(r"[=^√∑∫≤≥±×÷π]|\\[a-zA-Z]+|\d ?[-+*/] ?\d|\$\S")
# Those two are tried at every letter, these only at their signs; where these find nothing, those find keywords at most.
_CODE_SIGN = re.compile(r"```|\{|\}|;|\((?<=[\w\])]\()|\[(?<=\w\[)(?=\w)|=(?:[=>]|(?<=!=))|>(?<=->)|::")
_MATH_SIGN = re.compile(r"[=^√∑∫≤≥±×÷π\\$+*/-]")
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\(?(?:\d{1,2}|[A-Za-z])[.):]) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Form:
    """A query and the counts taken of its text once."""

    query: Query
    sample: str
    counts: Sequence[int]  # (7,) characters by kind

    def share(self, *kinds: int) -> float:
        """Return the share of the sample's characters that are of these kinds."""
        return sum([self.counts[kind] for kind in kinds]) / max(1, len(self.sample))

    def at_line_starts(self, pattern: re.Pattern[str]) -> int:
        """Return how many matches there are of a pattern that matches at the start of a line only."""
        return len(pattern.findall(self.sample)) if "\n" in self.sample else int(bool(pattern.match(self.sample)))

    def per_line(self, matches: int) -> float:
        """Return how many of the matches there are to a line of 80 characters (shorter texts count as one)."""
        return matches / max(1.0, len(self.sample) / 80)


def numeric_features(query: Query) -> Floats:
    """Return the query's numeric features, shape (m,), in the order of `NUMERIC_NAMES`, each within [-1, 1]."""
    return _numbers(_form(query))


def numbers_and_tokens(query: Query) -> tuple[Floats, int]:
    """Return `numeric_features(query)` and `estimate_tokens(query)`, from one look at the text."""
    form = _form(query)
    return _numbers(form), _tokens(query, form)


def estimate_tokens(query: Query) -> int:
    """Return about how many tokens the prompt has, at least 1; no tokenizer of the pool is known here.

    Where the query does not say, its newest message is taken as a sample of the scripts of all that will be read.
    """
    return _tokens(query, None)


def _tokens(query: Query, form: _Form | None) -> int:
    if query.prompt_tokens is not None:
        return max(1, query.prompt_tokens)
    form = form or _form(query)
    chars = max(query.prompt_chars, len(query.text), 0)
    text = chars * _tokens_per_char(form)
    return max(1, math.ceil(text) + TOKENS_PER_TURN * max(0, query.turns) + TOKENS_PER_IMAGE * max(0, query.images))


def sample_text(text: str, chars: int) -> str:
    """Return `text` if it is short, else its first three quarters and last quarter of `chars` characters."""
    if len(text) <= chars:
        return text
    tail = chars // 4
    return f"{text[: chars - tail - 1]} {text[-tail:]}"


def utf8_sample(text: str, chars: int) -> str:
    """Return `sample_text(text, chars)` with lone surrogates, which no UTF-8 library takes, replaced by `?`."""
    return sample_text(text, chars).encode("utf-8", "replace").decode("utf-8")


def _form(query: Query) -> _Form:
    sample = sample_text(query.text, SAMPLE_CHARS)
    return _Form(query, sample, _counts(sample))


def _numbers(form: _Form) -> Floats:
    query, sample, length = form.query, form.sample, max(1, len(form.sample))
    _, digits, _, signs, latin, alphabet, ideographs = form.counts
    numbers: Floats = np.array(
        [
            _log_length(max(query.prompt_chars, len(query.text))),
            _log_length(len(query.text)),
            _log_count(query.turns - 1, 32),
            _code(form),
            _math(form),
            4 * (digits / length),
            4 * (signs / length),
            (latin + alphabet + ideographs) / length,
            (alphabet + ideographs) / length,
            _upper(form),
            _log_count(sample.count("\n"), 64),
            _log_count(form.at_line_starts(_ITEM), 16),
            float("?" in sample or "？" in sample or "؟" in sample),
            _log_count(query.tools, 16),
            _log_count(query.images, 4),
            float(query.json_mode),
            _answer_limit(form),
        ]
    )
    np.maximum(numbers, -1.0, out=numbers)
    np.minimum(numbers, 1.0, out=numbers)
    return numbers


def _counts(text: str) -> list[int]:
    """Return how many characters of `text` are of each kind, shape (7,)."""
    if text.isascii():
        raw = text.encode("ascii")
        letters, digits, spaces = (len(raw) - len(raw.translate(None, chars)) for chars in _ASCII_CHARS)
        return [letters, digits, spaces, len(raw) - letters - digits - spaces, 0, 0, 0]
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    ascii_kinds = _ASCII_KINDS[codes[codes < 128]]
    other = codes[codes >= 128]
    counts: list[int] = np.bincount(ascii_kinds, minlength=7).tolist()
    latin, alphabet = int((other < 0x0370).sum()), int((other < 0x2E80).sum())
    counts[_LATIN] = latin + int(((other >= 0x1E00) & (other < 0x2070)).sum())  # Vietnamese, quotes and dashes
    counts[_IDEOGRAPH] = len(other) - alphabet
    counts[_ALPHABET] = len(other) - counts[_LATIN] - counts[_IDEOGRAPH]
    return counts


def _ascii_kind(char: str) -> int:
    if char.isalpha():
        return _LETTER
    if char.isdigit():
        return _DIGIT
    return _SPACE if char.isspace() else _SIGN


def _tokens_per_char(form: _Form) -> float:
    if not form.sample:
        return 1 / CHARS_PER_TOKEN_LATIN
    return (
        form.share(_LETTER, _SPACE, _LATIN) / CHARS_PER_TOKEN_LATIN
        + form.share(_DIGIT, _SIGN) / CHARS_PER_TOKEN_SIGN
        + form.share(_ALPHABET) / CHARS_PER_TOKEN_ALPHABET
        + form.share(_IDEOGRAPH) / CHARS_PER_TOKEN_IDEOGRAPH
    )


def _log_length(chars: int) -> float:
    """Return -1 for no characters, 0 for about 400, 1 for about 160,000 (log scale)."""
    return math.log1p(max(0, chars)) / 6 - 1


def _log_count(count: int, full: int) -> float:
    """Return 0 for nothing, 1 for `full` and more (log scale)."""
    return math.log1p(count) / math.log1p(full) if count > 0 else 0.0


def _code(form: _Form) -> float:
    signs = _CODE_SIGN.search(form.sample)
    return form.per_line(len(_CODE.findall(form.sample)) if signs else form.at_line_starts(_CODE_KEYWORD)) / 2


def _math(form: _Form) -> float:
    return form.per_line(len(_MATH.findall(form.sample))) / 4 if _MATH_SIGN.search(form.sample) else 0.0


def _upper(form: _Form) -> float:
    head = form.sample[:1_000]
    small = len(head.encode("ascii").translate(None, _CAPITALS)) if head.isascii() else None
    capitals = sum(map(str.isupper, head)) if small is None else len(head) - small
    return 2 * capitals / max(1, len(head))


def _answer_limit(form: _Form) -> float:
    """Return 0 without a limit, else up to 1 the shorter the answer must be (1 token: 1; 4,096: 0)."""
    limit = form.query.max_tokens
    return 0.0 if limit is None else max(0.0, 1 - math.log(max(1, limit)) / math.log(4_096))


_ASCII_KINDS: Final = np.array([_ascii_kind(chr(code)) for code in range(128)])
_ASCII_CHARS: Final = [bytes(np.flatnonzero(kind == _ASCII_KINDS).tolist()) for kind in (_LETTER, _DIGIT, _SPACE)]
_CAPITALS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NUMERIC_NAMES: Final = (
    "log_prompt_chars", "log_text_chars", "log_turns", "code", "math", "digits", "signs", "non_ascii", "non_latin",
    "upper", "lines", "list_items", "asks", "tools", "images", "json_mode", "answer_limit",
)  # fmt: skip
