import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.bandit import snapshot
from highwayman.env.errors import SnapshotError

HEADER = {"kind": "linear", "arms": ["a", "ü"], "d": 2}
ARRAYS = {"a": np.arange(6.0).reshape(3, 2), "b": np.array([1, 2])}
GOOD = snapshot.pack(HEADER, ARRAYS)


def test_what_is_packed_comes_back() -> None:
    header, arrays = snapshot.unpack(GOOD)
    assert header == HEADER
    assert {name: values.tolist() for name, values in arrays.items()} == {
        "a": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
        "b": [1, 2],
    }


def test_a_snapshot_may_hold_no_arrays() -> None:
    assert snapshot.unpack(snapshot.pack({"kind": "uniform"}, {})) == ({"kind": "uniform"}, {})


def test_equal_content_gives_equal_bytes_whatever_the_order_it_was_given_in() -> None:
    header = dict(reversed(HEADER.items()))
    arrays = {name: values.copy() for name, values in reversed(ARRAYS.items())}
    assert snapshot.pack(header, arrays) == GOOD


def test_equal_content_gives_equal_bytes_whatever_its_layout_in_memory() -> None:
    assert snapshot.pack(HEADER, {**ARRAYS, "a": np.asfortranarray(ARRAYS["a"])}) == GOOD


def test_other_content_gives_other_bytes() -> None:
    assert snapshot.pack(HEADER, {**ARRAYS, "b": np.array([1, 3])}) != GOOD
    assert snapshot.pack({**HEADER, "d": 3}, ARRAYS) != GOOD


@given(place=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(place: int, bit: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] ^= 1 << bit
    with pytest.raises(SnapshotError):
        snapshot.unpack(bytes(damaged))


@given(length=st.integers(0, len(GOOD) - 1))
def test_any_truncation_is_noticed(length: int) -> None:
    with pytest.raises(SnapshotError):
        snapshot.unpack(GOOD[:length])


def test_trailing_bytes_are_noticed() -> None:
    with pytest.raises(SnapshotError, match="checksum"):
        snapshot.unpack(GOOD + b"\0")


def test_other_files_are_named_as_such() -> None:
    with pytest.raises(SnapshotError, match="not a Highwayman snapshot"):
        snapshot.unpack(b"PK\x03\x04" + GOOD[4:])


def test_another_schema_is_named_with_the_one_that_is_read() -> None:
    other = GOOD[:4] + struct.pack(">H", snapshot.SCHEMA + 1) + GOOD[6:]
    with pytest.raises(SnapshotError, match=f"schema {snapshot.SCHEMA + 1}, this version reads {snapshot.SCHEMA}"):
        snapshot.unpack(other)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_with_the_arrays_name(number: float) -> None:
    with pytest.raises(SnapshotError, match="'b'"):
        snapshot.unpack(snapshot.pack({}, {"a": np.zeros(1), "b": np.array([0.0, number])}))


def test_objects_that_would_need_pickle_are_neither_packed_nor_read() -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        snapshot.pack({}, {"a": np.array([{}], dtype=object)})


@pytest.mark.parametrize("rest", [b"", b"{}no archive", b"not json", b"{}"], ids=str)
def test_a_right_checksum_over_wrong_content_is_refused(rest: bytes) -> None:
    head = struct.pack(">4sH32sI", b"HWYM", snapshot.SCHEMA, hashlib.sha256(rest).digest(), min(2, len(rest)))
    with pytest.raises(SnapshotError):
        snapshot.unpack(head + rest)
