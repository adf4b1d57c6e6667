from dataclasses import replace

import numpy as np
import pytest

from highwayman.env.cost.quotes import PoolQuotes
from highwayman.env.types import Arm, Profile

ARM = Arm("a", ("http://127.0.0.1:9",), "m", 1.0, 10.0, 8_192)  # dollars per million tokens, read and written


def test_a_call_can_cost_at_most_twice_the_prompt_expected_and_all_that_its_limit_allows_of_every_answer() -> None:
    limited = replace(ARM, profile=Profile(max_tokens=50))
    sampling = replace(ARM, profile=Profile(best_of=3))
    unpriced, cached = replace(ARM, usd_per_mtok_out=None), replace(ARM, usd_per_mtok_cached_in=2.0)
    quotes = PoolQuotes([ARM, limited, sampling, unpriced, cached])
    most_usd = 1e6 * quotes.most_usd(100, max_tokens=200)
    assert most_usd == pytest.approx([200 + 2000, 200 + 500, 600 + 6000, np.nan, 400 + 2000], nan_ok=True)
    assert 1e6 * quotes.most_usd(100, max_tokens=200, answers=2)[0] == pytest.approx(200 + 4000)


def test_nobody_can_tell_what_an_answer_without_a_limit_costs_at_most() -> None:
    quotes = PoolQuotes([ARM, replace(ARM, profile=Profile(max_tokens=50))])
    assert np.isnan(quotes.most_usd(100)).tolist() == [True, False]
