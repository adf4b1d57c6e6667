import math
import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.encoder.features.features import (
    NUMERIC_NAMES,
    estimate_tokens,
    numbers_and_tokens,
    numeric_features,
    sample_text,
    utf8_sample,
)
from highwayman.env.types import Query

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)  # lone surrogates too
SIGNS = [
    *(
        "```",
        "{",
        "};",
        "  ",
        "\t",
        "\n",
        "\r",
        "\x1c",
        "\u2028",
        "def",
        "import ",
        "SELECT",
        "return",
        "a(",
        ")(",
        "]",
        "[",
    ),
    *(
        "==",
        "=",
        "!",
        ">",
        "-",
        ":",
        "x",
        "9",
        "٣",
        "é",
        "\\",
        "f",
        "$",
        "^",
        "√",
        "π",
        "*",
        "/",
        "+",
        "1 - 2",
        "京",
        "?",
        "؟",
    ),
    *("- ", "1. ", "(a) ", "_", "ª", "²", "A", "Ä", "\ud800", "Ж"),
]
CODE_LIKE = st.lists(st.sampled_from(SIGNS), max_size=40).map("".join)
# The patterns as they were first written; what is tried in fewer places has to find the same.
CODE = re.compile(
    r"```|[{};][ \t]*$|^[ \t]*(?:def|class|import|from|return|function|const|let|var|public|#include|SELECT)\b"
    r"|[\w\])]\(|==|!=|=>|->|::|\w\[\w",
    re.MULTILINE,
)
ITEM = re.compile(r"^[ \t]*(?:[-*•]|\(?(?:\d{1,2}|[A-Za-z])[.):]) ", re.MULTILINE)
MATH = re.compile(r"[=^√∑∫≤≥±×÷π]|\\[a-zA-Z]+|\d ?[-+*/] ?\d|\$\S")


def measured(text: str, **rest: int | bool | None) -> dict[str, float]:
    query = Query(text, len(text), **rest)  # type: ignore[arg-type]
    return dict(zip(NUMERIC_NAMES, numeric_features(query), strict=True))


@given(
    text=ANY_TEXT,
    chars=st.integers(-5, 10**12),
    turns=st.integers(-5, 10**9),
    tools=st.integers(-5, 10**9),
    images=st.integers(-5, 10**9),
    max_tokens=st.none() | st.integers(-5, 10**9),
)
def test_features_of_any_query_are_finite_and_within_one(
    text: str, chars: int, turns: int, tools: int, images: int, max_tokens: int | None
) -> None:
    query = Query(text, chars, turns=turns, tools=tools, images=images, max_tokens=max_tokens)
    features = numeric_features(query)
    assert features.shape == (len(NUMERIC_NAMES),)
    assert np.abs(features).max() <= 1
    assert estimate_tokens(query) >= 1


@given(ANY_TEXT | CODE_LIKE)
def test_the_numbers_of_any_text_are_those_of_counting_the_slow_way(text: str) -> None:
    lines, chars = max(1.0, len(text) / 80), max(1, len(text))
    small = [char for char in text if ord(char) < 128]
    digits = sum(map(str.isdigit, small))
    signs = sum(not (char.isalnum() or char.isspace()) for char in small)
    strangers = len(text) - len(small)
    latin = sum(0x80 <= ord(char) < 0x370 or 0x1E00 <= ord(char) < 0x2070 for char in text)
    slow = {
        "code": len(CODE.findall(text)) / lines / 2,
        "math": len(MATH.findall(text)) / lines / 4,
        "digits": 4 * digits / chars,
        "signs": 4 * signs / chars,
        "non_ascii": strangers / chars,
        "non_latin": (strangers - latin) / chars,
        "upper": 2 * sum(map(str.isupper, text)) / chars,
        "list_items": math.log1p(len(ITEM.findall(text))) / math.log1p(16),
        "asks": any(char in "?？؟" for char in text),
    }
    quick = measured(text)
    assert {name: quick[name] for name in slow} == {name: min(value, 1.0) for name, value in slow.items()}


def test_signs_side_by_side_are_counted_as_the_patterns_count_them() -> None:
    for first in SIGNS:
        for second in SIGNS:
            for text in (first + second, f"x{first}{second}x"):
                quick = measured(text)
                assert quick["code"] == min(len(CODE.findall(text)) / 2, 1.0), ascii(text)
                assert quick["math"] == min(len(MATH.findall(text)) / 4, 1.0), ascii(text)


@given(ANY_TEXT | CODE_LIKE, st.none() | st.integers(-5, 10**9))
def test_one_look_at_the_text_gives_the_numbers_and_the_tokens_of_two(text: str, prompt_tokens: int | None) -> None:
    query = Query(text, len(text), prompt_tokens=prompt_tokens)
    numbers, tokens = numbers_and_tokens(query)
    assert numbers.tolist() == numeric_features(query).tolist()
    assert tokens == estimate_tokens(query)


@pytest.mark.parametrize(
    ("name", "text", "plain"),
    [
        ("code", "def f(x):\n    return x[0] == {1: 2}\n", "Tell me about the weather in spring."),
        ("math", "Solve x^2 + 3 = 12 for $x$.", "Tell me about the weather in spring."),
        ("digits", "17 31 45 99", "seventeen and thirty-one"),
        ("non_latin", "Столица Франции?", "La capitale de la France ?"),
        ("non_ascii", "Où est la bibliothèque ?", "Where is the library?"),
        ("upper", "ANSWER NOW", "answer now"),
        ("list_items", "Pick one:\n(a) red\n(b) blue\n", "Pick red or blue."),
        ("lines", "a\nb\nc", "a b c"),
        ("asks", "北京在哪里？", "Write a poem."),
    ],
)
def test_a_feature_tells_its_kind_of_text_from_a_plain_one(name: str, text: str, plain: str) -> None:
    assert measured(text)[name] > measured(plain)[name]


def test_what_the_request_offers_shows_up_in_its_own_features() -> None:
    rich = measured("Hi", turns=5, tools=3, images=1, json_mode=True, max_tokens=8)
    bare = measured("Hi")
    assert {name for name in NUMERIC_NAMES if rich[name] != bare[name]} == {
        "log_turns",
        "tools",
        "images",
        "json_mode",
        "answer_limit",
    }


@pytest.mark.parametrize(
    ("text", "tokens"),  # as counted by MiniLM's tokenizer and by common byte-pair ones: they differ by a third
    [
        ("How do I sort a list of dictionaries by one of their keys in Python?", 16),
        ("Столица Франции — Париж, а столица Германии — Берлин.", 18),
        ("北京是中华人民共和国的首都，也是全国的政治中心。", 18),
    ],
)
def test_tokens_are_estimated_to_within_half_in_several_scripts(text: str, tokens: int) -> None:
    assert tokens / 1.5 <= estimate_tokens(Query(text, len(text), turns=0)) <= tokens * 1.5


def test_tokens_grow_with_what_the_model_reads_beyond_the_newest_message() -> None:
    assert estimate_tokens(Query("Go on.", 40_000)) > 5_000


def test_tokens_that_were_counted_beforehand_are_taken_and_move_no_feature() -> None:
    asked, counted = Query("Go on.", 40), Query("Go on.", 40, prompt_tokens=20_000, modalities=frozenset({"audio"}))
    assert estimate_tokens(counted) == 20_000
    assert (numeric_features(asked) == numeric_features(counted)).all()


@pytest.mark.parametrize(
    "hostile", [" \n" * 2_000, "{;" * 2_000, "1 " * 2_000, "((((" * 1_000, "\\" * 4_000, "    1" * 900]
)
def test_no_text_makes_the_patterns_blow_up(hostile: str) -> None:
    started = time.process_time()
    for _ in range(10):
        numeric_features(Query(hostile * 100, 400_000))
    assert time.process_time() - started < 1.0  # 10 calls; an ordinary page takes about 2 ms in all


def test_a_long_text_keeps_its_head_and_its_tail() -> None:
    cut = sample_text("a" * 5_000 + "z" * 5_000, 100)
    assert len(cut) == 100
    assert cut.startswith("a" * 74)
    assert cut.endswith("z" * 25)


@given(ANY_TEXT)
def test_readable_text_is_valid_utf8_and_keeps_what_was_valid(text: str) -> None:
    shown = utf8_sample(text, 10_000)
    assert len(shown) == len(text)
    assert all(new == old or 0xD800 <= ord(old) < 0xE000 for new, old in zip(shown, text, strict=True))
    shown.encode("utf-8")
