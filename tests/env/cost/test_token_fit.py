import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.token_fit import TokenFit


def fit(*calls: tuple[float, float]) -> TokenFit:
    learned = TokenFit()
    for estimated, reported in calls:
        learned = learned.plus(estimated, reported)
    return learned


def test_before_any_call_what_was_expected_stands() -> None:
    assert TokenFit().line(overhead=40.0, ratio=5.0) == pytest.approx((40.0, 5.0))


def test_a_tokenizer_that_makes_half_as_many_again_is_learned_within_twenty_calls() -> None:
    overhead, ratio = fit(*((x, 1.5 * x) for x in (30, 200, 1_000, 4_000, 90) * 4)).line()
    assert overhead + ratio * 8_000 == pytest.approx(12_000, rel=0.03)
    assert overhead + ratio * 20 == pytest.approx(30, abs=5)


def test_a_text_that_the_arm_puts_before_each_prompt_is_learned_as_overhead() -> None:
    overhead, ratio = fit(*((x, 500 + x) for x in (30, 200, 1_000, 90) * 10)).line()
    assert overhead == pytest.approx(500, rel=0.05)
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_prompts_of_one_short_length_teach_the_overhead_and_of_one_great_length_the_ratio() -> None:
    overhead, ratio = fit(*[(20, 520)] * 50).line()
    assert overhead + ratio * 10_000 == pytest.approx(10_500, rel=0.1)
    overhead, ratio = fit(*[(10_000, 15_000)] * 50).line()
    assert ratio == pytest.approx(1.5, rel=0.02)


def test_the_past_fades() -> None:
    learned = fit(*[(1_000, 3_000)] * 200, *[(1_000, 1_000)] * 400)
    overhead, ratio = learned.line()
    assert overhead + ratio * 1_000 == pytest.approx(1_000, rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 2**70), st.integers(-5, 2**70)), max_size=30))
def test_no_number_makes_the_line_anything_but_a_line(calls: list[tuple[int, int]]) -> None:
    overhead, ratio = fit(*calls).line()
    assert 0 <= overhead < math.inf
    assert 0 <= ratio < math.inf
