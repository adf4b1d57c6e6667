import time
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.prompt import text_tokens
from highwayman.env.prompt.text_tokens import estimate_text_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),  # the geometric mean of what GPT-4o's, Qwen's, DeepSeek's and Mistral's vocabularies make of it
    [
        ("How do I sort a list of dictionaries by one of their keys in Python?", 16.3),
        ("北京是中华人民共和国的首都，也是全国的政治中心。", 14.2),
        ("كشفت دراسة حديثة أن الخيل تقرأ تعبيرات الوجه", 16.1),
        ('{"name": "search", "description": "Search the web", "parameters": {"query": {"type": "string"}}}', 27),
        ("def add(a: int, b: int) -> int:\n    return a + b\n", 19.4),
    ],
)
def test_short_texts_of_several_kinds_are_within_a_third(text: str, tokens: float) -> None:
    assert tokens / 1.33 <= estimate_text_tokens(text).tokens <= tokens * 1.33


@given(st.text(st.characters(max_codepoint=127), min_size=2, max_size=200), st.integers(1, 70))
def test_ascii_has_to_the_last_bit_what_counting_it_chunk_after_chunk_gives(text: str, chunk: int) -> None:
    at_once = estimate_text_tokens(text)
    with patch.object(text_tokens, "_CHUNK_CHARS", min(chunk, len(text) - 1)):
        assert estimate_text_tokens(text) == at_once


def test_no_text_has_no_tokens() -> None:
    assert estimate_text_tokens("").tokens == 0.0


@given(st.text(st.characters(max_codepoint=127), min_size=2, max_size=300))
def test_ascii_text_has_as_many_tokens_in_few_steps_as_piece_by_piece(text: str) -> None:
    tokens = estimate_text_tokens(text).tokens
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_tokens, "_CHUNK_CHARS", 1)
        assert estimate_text_tokens(text).tokens == pytest.approx(tokens, rel=1e-12)


@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=200))  # lone surrogates too
def test_any_text_has_a_number_of_tokens_that_grows_with_it(text: str) -> None:
    tokens = estimate_text_tokens(text).tokens
    assert 0 < tokens <= 4 * len(text)
    assert estimate_text_tokens(text + "\nand more").tokens > tokens


@pytest.mark.parametrize("char", ["a", "1", " ", "\n", "{", "é", "я", "ا", "中", "한", "ก", "😀"])
def test_a_long_run_of_any_character_is_no_short_prompt(char: str) -> None:
    assert estimate_text_tokens(char * 100_000).tokens >= 5_000


@pytest.mark.parametrize("text", ["word 12, ", "слово 12, "])
def test_it_does_not_matter_where_a_long_text_is_cut(text: str) -> None:
    once = estimate_text_tokens(text * 1_000).tokens
    assert estimate_text_tokens(text * 100_000).tokens == pytest.approx(100 * once, rel=1e-3)


@pytest.mark.parametrize("text", ["aB1{ ", "é中я1 ", "中文😀字"])
def test_sixteen_million_characters_take_less_than_two_seconds(text: str) -> None:
    started = time.process_time()
    estimate_text_tokens(text * (16_000_000 // len(text)))
    assert time.process_time() - started < 2.0
