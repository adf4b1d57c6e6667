"""Texts larger than a piece are read and written as the parser and the writer do it at once, and refused alike."""

import asyncio
import json
import math
from typing import Any

import pydantic_core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env import json_pieces
from highwayman.env.json_pieces import LARGEST_INT, InvalidJson, NumberTooLarge, dump_aside, dump_json, parse_json
from highwayman.env.json_structure import TooManyValues

MANY = 10**9
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.text('\\"/[]{}:,\n', max_size=12),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece holds one escaped character, so that every text is cut, and cut everywhere."""
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 14)
    monkeypatch.setattr(json_pieces, "_PIECE_CHARS", 40)
    monkeypatch.setattr(json_pieces, "_BATCH", 2)


def expected(raw: bytes) -> Any:
    return pydantic_core.from_json(raw, allow_inf_nan=False)


def same(value: Any, other: Any) -> bool:
    return json.dumps(value) == json.dumps(other)  # True is not 1, and 1.0 is not 1; keys in order


@settings(max_examples=100)
@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_written_is_read_back_as_the_parser_reads_it(value: Any, ascii_only: bool, indent: int | None) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert same(parse_json(raw, most_values=MANY), expected(raw))


@settings(max_examples=300)
@given(VALUES, st.data())
def test_a_damaged_text_is_refused_exactly_where_the_parser_refuses_it(value: Any, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode() * data.draw(st.integers(1, 2)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from(
                [b"", b",", b":", b"[", b"]", b"{", b"}", b'"', b"\\", b" ", b"1", b"\\u00", b"\xe4", b"\n"]
            )
        )
    try:
        wanted = expected(bytes(raw))
    except ValueError:
        with pytest.raises((InvalidJson, NumberTooLarge)):
            parse_json(bytes(raw), most_values=MANY)
    else:
        try:
            assert same(parse_json(bytes(raw), most_values=MANY), wanted)
        except NumberTooLarge:  # a digit that comes in an exponent: the parser makes infinity of it
            assert any(not math.isfinite(number) or abs(number) > LARGEST_INT for number in _numbers(wanted))


def _numbers(value: Any) -> list[float]:
    """Return all numbers in a value."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for part in inner for number in _numbers(part)]
    return [value] if isinstance(value, int | float) else []


@settings(max_examples=100)
@given(VALUES)
def test_what_is_written_in_pieces_is_what_is_written_at_once(value: Any) -> None:
    assert dump_json(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@settings(max_examples=25)
@given(VALUES)
def test_what_a_server_is_sent_is_read_as_what_it_was(value: Any) -> None:
    assert same(json.loads(asyncio.run(dump_aside(value, large=False))), value)


@pytest.mark.parametrize("raw", [b"1e999", b"[1, 2, 3, -1e400]", b"%d" % (2**64), b"[[[1000000000000000000000]]]"])
def test_a_number_beyond_64_bits_is_refused(raw: bytes) -> None:
    with pytest.raises(NumberTooLarge):
        parse_json(raw, most_values=MANY)


@pytest.mark.parametrize(
    "raw", [b"[NaN]", b"[Infinity      ]", b"1" * 5000, b"[" * 300 + b"]" * 300, b"", b"[1,2,3,4,5,]"]
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJson):
        parse_json(raw, most_values=MANY)


def test_values_are_counted_outside_strings_only() -> None:
    words = json.dumps([", [ {" * 1000] * 9).encode()
    assert len(parse_json(words, most_values=10)) == 9
    with pytest.raises(TooManyValues):
        parse_json(b"[" + b"1," * 20 + b"1]", most_values=10)


def test_of_equal_keys_the_last_one_counts() -> None:
    assert parse_json(b'{"a": 1, "b": "12345678", "a": "123456789"}', most_values=MANY) == {
        "a": "123456789",
        "b": "12345678",
    }
