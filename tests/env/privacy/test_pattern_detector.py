"""What the patterns know: numbers by their checksums, generated valid and invalid, wherever they stand."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.pattern_detector import PatternDetector
from highwayman.env.privacy.patterns.checksums import (
    codice_fiscale,
    cpf,
    luhn,
    mod_11_2,
    mod_11_10,
    mod_97,
    verhoeff,
)

DETECTOR = PatternDetector()
DIGITS = "0123456789"


def kinds(text: str) -> set[str]:
    return {detection.kind for detection in DETECTOR.detect(text)}


def with_check(body: str, is_right: object, alphabet: str = DIGITS) -> str:
    """Return the number with the one last character that makes it right."""
    return next(body + char for char in alphabet if is_right(body + char))  # type: ignore[operator]


def digits(size: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=size, max_size=size)


CARDS = st.one_of(
    st.builds(lambda rest: with_check("4" + rest, luhn), digits(14)),
    st.builds(lambda two, rest: with_check(two + rest, luhn), st.sampled_from(["51", "55", "62"]), digits(13)),
    st.builds(lambda two, rest: with_check(two + rest, luhn), st.sampled_from(["34", "37"]), digits(12)),
)


@given(CARDS, st.sampled_from(["", " ", "-", "."]), st.sampled_from(["", "card ", "12 ", "no. 7: ", '{"a": "', "\\n"]))
def test_a_card_is_detected_however_it_is_written(card: str, sign: str, before: str) -> None:
    sizes = (4, 4, 4, 4) if len(card) == 16 else (4, 6, 5)
    places = [sum(sizes[:k]) for k in range(len(sizes) + 1)]
    written = sign.join(card[begin:end] for begin, end in pairwise(places))
    text = f"{before}{written}, please"
    detections = [each for each in DETECTOR.detect(text) if each.kind == "payment_card"]
    assert written in {text[each.start : each.end] for each in detections} or before == "\\n"
    assert detections


@given(CARDS, st.integers(0, 15), st.integers(1, 9))
def test_a_card_with_one_wrong_digit_is_none(card: str, place: int, more: int) -> None:
    place %= len(card)
    wrong = card[:place] + str((int(card[place]) + more) % 10) + card[place + 1 :]
    assert "payment_card" not in kinds(f"number {wrong} it is")


@given(st.sampled_from(["DE", "GB", "FR", "NL", "CH", "NO", "MT"]), st.integers(0, 10**30), st.booleans())
def test_an_iban_is_detected_by_its_country_length_and_check(country: str, number: int, spaced: bool) -> None:
    size = {"DE": 22, "GB": 22, "FR": 27, "NL": 18, "CH": 21, "NO": 15, "MT": 31}[country]
    account = str(number).zfill(size)[-(size - 4) :]
    text = next(f"{country}{check:02}{account}" for check in range(2, 99) if mod_97(f"{country}{check:02}{account}"))
    written = " ".join(re.findall(".{1,4}", text)) if spaced else text
    assert "iban" in kinds(f"to {written}.")
    other = text[:4] + str((int(text[4]) + 1) % 10) + text[5:]
    assert "iban" not in kinds(f"to {other}.")


@pytest.mark.parametrize(
    ("size", "first", "is_right", "alphabet"),
    [
        (17, "110105194912310", mod_11_2, DIGITS + "X"),
        (11, "2", verhoeff, DIGITS),
        (10, "529982247", cpf, DIGITS),
        (10, "8609574271", mod_11_10, DIGITS),
        (15, "RSSMRA85T10A562", codice_fiscale, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ],
    ids=["china", "india", "brazil", "germany", "italy"],
)
@given(data=st.data())
def test_one_last_character_of_all_makes_a_national_id(
    size: int, first: str, is_right: object, alphabet: str, data: st.DataObject
) -> None:
    body = (first + data.draw(digits(size)))[:size]
    right = [char for char in alphabet if is_right(body + char)]  # type: ignore[operator]
    assert len(right) <= 1
    if right:
        assert "national_id" in kinds(f"id {body}{right[0]} of hers")


@pytest.mark.parametrize(
    "text",
    [
        "RSSMRA85T10A562S", "12345678Z", "X1234567L", "131052-308T", "11010519491231002X", "078-05-1120",
        "529.982.247-25", "86095742719", "44051401359", "756.9217.0769.85", "943 476 5919", "1 85 05 78 006 084 91",
        "2341 2341 2346", "811218-9876",
    ],
)  # fmt: skip
def test_a_national_id_of_a_known_example_is_detected(text: str) -> None:
    assert "national_id" in kinds(f"her number is {text}, I think")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mail a.b+c@mail.example.co.uk now", "email"),
        ("call +49 171 2345678", "phone"),
        ("call (415) 555-2671", "phone"),
        ("call 030 1234567", "phone"),
        ("sk-ant-api03-" + "a1B2" * 8, "api_key"),
        ("AKIAIOSFODNN7EXAMPLE", "api_key"),
        ("token=ghp_" + "a1B2" * 9, "api_key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpM", "api_key"),
        ("postgres://me:word@host/db", "password"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----", "private_key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBF", "private_key"),
        ('{"pem": "-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----"}', "private_key"),
        ("４１１１ 1111 1111 1111", "payment_card"),
        ("4111\u200b1111\u200b1111\u200b1111", "payment_card"),
        (r'{"to": "\u0061nn@example.org"}', "email"),
        (r'{"key": "x\nsk-proj-0123456789abcdefghij"}', "api_key"),
    ],
)
def test_a_well_known_shape_is_detected(text: str, kind: str) -> None:
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "The meeting is on 01.02.2024 at 12:30, room 1204.",
        "pi is 3.14159265358979, and the epoch 1700000000 or 1700000000123",
        "def f(x): return x @ y  # risk-averse, task-based; see https://example.org/a:b@c",
        "2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192",
        "UUID 123e4567-e89b-12d3-a456-426614174000, sha 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c",
        "public key: -----BEGIN PUBLIC KEY-----",
        "",
    ],
)
def test_ordinary_texts_hold_nothing(text: str) -> None:
    assert DETECTOR.detect(text) == []


def test_keys_are_secret_and_what_is_of_a_person_personal() -> None:
    text = "sk-proj-0123456789abcdefghij ann@example.org"
    classes = {each.kind: each.data_class for each in DETECTOR.detect(text)}
    assert classes == {"api_key": DataClass.SECRET, "email": DataClass.PERSONAL}


def test_what_stands_where_two_windows_meet_is_detected_whole() -> None:
    for place in (65_520, 65_530, 65_536, 131_060):
        text = "a" * place + " 4111 1111 1111 1111 " + "b" * 70_000
        spans = {text[each.start : each.end] for each in DETECTOR.detect(text)}
        assert spans == {"4111 1111 1111 1111"}


@pytest.mark.parametrize(
    "piece",
    ["12 ", "a@", "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJaaaaaaaa.", "://a:", "0", "GB82 WEST ", "\\n", "sk-", "(1"],
)
def test_the_time_is_linear_whatever_the_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text, begun = piece * (size // len(piece)), time.process_time()
        DETECTOR.detect(text)
        return time.process_time() - begun

    seconds(1_000)
    assert min(seconds(32_000) for _ in range(2)) < 40 * min(seconds(4_000) for _ in range(2)) + 0.005
