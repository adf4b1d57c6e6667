"""Numbers in words."""

import pytest

from highwayman.pages import formats


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "$0.00"), (12.5, "$12.50"), (-0.25, "-$0.25"), (0.0000123, "$0.000012"), (None, "–")]
)
def test_dollars_have_cents_or_two_digits_that_count(value: float | None, said: str) -> None:
    assert formats.usd(value) == said


@pytest.mark.parametrize(("value", "said"), [(0.0123, "12 ms"), (3.2, "3.2 s"), (600, "10 min"), (90_000, "25 h")])
def test_spans_are_told_in_the_unit_that_fits(value: float, said: str) -> None:
    assert formats.seconds(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0341, "+0.034"), (-0.5, "\N{MINUS SIGN}0.500"), (1234.5, "+1,234"), (1e-15, "0"), (None, "–")],
)
def test_differences_have_their_sign(value: float | None, said: str) -> None:
    assert formats.signed(value) == said


def test_a_price_is_told_as_it_was_set_and_not_rounded() -> None:
    assert [formats.price(usd) for usd in (0.155, 0.007, 15.0, 1.25, None)] == ["$0.155", "$0.007", "$15", "$1.25", "–"]


def test_one_of_a_kind_is_told_as_one() -> None:
    assert [formats.counted(n, "call") for n in (0, 1, 1200)] == ["0 calls", "1 call", "1,200 calls"]


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "1970-01-01 00:00:00"), (5e11, "–"), (-1e12, "–"), (float("nan"), "–"), (None, "–")]
)
def test_a_moment_in_no_calendar_is_no_number(value: float | None, said: str) -> None:
    assert formats.time(value) == said
