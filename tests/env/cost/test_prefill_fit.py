import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.prefill_fit import PrefillFit


def fit(*calls: tuple[float, float]) -> PrefillFit:
    learned = PrefillFit()
    for tokens, seconds in calls:
        learned = learned.plus(tokens, seconds)
    return learned


def test_before_any_call_and_after_the_first_nothing_is_known() -> None:
    assert PrefillFit().seconds_per_token == 0.0
    assert fit((5_000, 3.0)).seconds_per_token == pytest.approx(0.0)


def test_the_slope_is_learned_beside_a_wait_that_hangs_on_no_prompt() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.choice([100, 500, 2_000, 8_000], size=60)
    calls = [(float(x), 0.3 + 2e-4 * x + rng.uniform(0, 0.1)) for x in tokens]
    assert fit(*calls).seconds_per_token == pytest.approx(2e-4, rel=0.1)


def test_prompts_that_are_all_about_as_long_teach_nothing_whatever_they_waited_for() -> None:
    rng = np.random.default_rng(0)
    calls = [(float(rng.integers(950, 1_050)), float(rng.uniform(0.1, 3.0))) for _ in range(200)]
    assert fit(*calls).seconds_per_token < 2e-4


def test_the_past_fades() -> None:
    slow, quick = ([(x, slope * x) for x in (100.0, 4_000.0) * 200] for slope in (1e-3, 1e-4))
    assert fit(*slow, *quick).seconds_per_token == pytest.approx(1e-4, rel=0.2)


@given(st.lists(st.tuples(st.integers(-5, 2**70), st.floats(-1, 1e30)), max_size=30))
def test_no_number_makes_it_anything_but_a_number_of_seconds(calls: list[tuple[int, float]]) -> None:
    assert 0.0 <= fit(*calls).seconds_per_token < math.inf
