"""Word pieces kept by word, against the tokenizer proper on the shipped vocabulary."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from highwayman.env.encoder.engines import word_pieces
from highwayman.env.encoder.engines.static_engine import ASSETS
from highwayman.env.encoder.engines.word_pieces import LONGEST_REMEMBERED, UNKNOWN, WordPieces, word_piece_tokenizer

VOCABULARY = (ASSETS / "static_vocab.txt").read_text(encoding="utf-8").split("\n")
TOKENIZER = word_piece_tokenizer(VOCABULARY)
PIECES = WordPieces(VOCABULARY)

ASCII = st.text(st.characters(max_codepoint=127), max_size=300)
RUNS = st.lists(
    st.tuples(st.sampled_from([*map(chr, range(128)), "[UNK]", "[CLS]", "##ing", "The", "\u0301", "é", "\x85", "京"]),
              st.integers(1, 120)),
    max_size=6,
).map(lambda runs: "".join(unit * times for unit, times in runs))  # fmt: skip
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=40).map(" ".join)
PARTS = st.sampled_from(
    ["the", "It's", "é", "\u0301", "\u3000", "\xa0", "京都x", "\x00", "\t", "", "a\u0327\u0301", "\U0001d165"]
)
MIXED = st.lists(PARTS, max_size=20).map(" ".join) | st.lists(PARTS, max_size=20).map("".join)


def proper(text: str) -> list[int]:
    unknown = VOCABULARY.index(UNKNOWN)
    return [piece for piece in TOKENIZER.encode(text, add_special_tokens=False).ids if piece != unknown]


@given(ASCII | RUNS | ANY_TEXT | WORDS | MIXED)
@example("".join(map(chr, range(128))))
@example("a\x00b\x0bc\x0cd\x1ce\x7ff g\th\r\ni\u2028j\xa0k")
@example("x" * 100 + " " + "x" * 101)
@example("[UNK] [CLS][SEP] [MASK] ##s # # un##able")
@example("a é b c é 1 é")
@example("I'm DON'T e-mail: foo_bar@example.com, 3.14$ `a`~b^c|d\\e")
@example("naïve Straße ΣΑΣ İstanbul ﬁn e\u0301 \u0301a 한국 京都 \u200bz\ufffd\u00ad")
def test_any_text_has_the_ids_of_the_tokenizer_proper(text: str) -> None:
    assert PIECES.ids(text).tolist() == proper(text)
    assert PIECES.ids(text).tolist() == proper(text)  # and again, now that its words are remembered


def test_every_ascii_character_between_two_letters_does_what_the_tokenizer_proper_does() -> None:
    for first in range(128):
        for second in range(128):
            text = f"Ab{chr(first)}{chr(second)}cd"
            assert PIECES.ids(text).tolist() == proper(text), ascii(text)


def test_a_long_text_without_blanks_is_read_once() -> None:
    started = time.process_time()
    PIECES.ids("x" * 100_000 + " é")
    assert time.process_time() - started < 1.0  # it takes some ms; read anew from every letter, a minute


def test_no_more_words_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_pieces, "REMEMBERED_WORDS", 3)
    pieces = WordPieces(VOCABULARY)
    for text in ("the qxa qxb", "on qxc the qxd with qxe qxf", "the qxa qxb", "qéa qéb qéc qéd"):
        assert pieces.ids(text).tolist() == proper(text)
        assert 0 < pieces.remembered <= 3


def test_a_word_too_long_for_a_word_is_not_remembered() -> None:
    pieces = WordPieces(VOCABULARY)
    for text in ("k" * (LONGEST_REMEMBERED + 1), "5ecre7" * 10, "z" * 2_000):
        assert pieces.ids(text).tolist() == proper(text)
    assert pieces.remembered == 0
