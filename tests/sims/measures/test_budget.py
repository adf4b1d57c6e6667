import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.sims.measures.budget import budget_compliance


def test_windows_roll_after_the_router_has_settled() -> None:
    cost = np.array([9.0, 9.0, 1.0, 1.0, 2.0, 1.0])  # of the rest, pairs mean 1, 1.5 and 1.5
    found = budget_compliance(cost, 1.25, window=2, settling=2)
    assert found.worst == pytest.approx(1.2)
    assert (found.within, found.windows) == (pytest.approx(1 / 3), 3)


def test_one_percent_above_the_ceiling_is_within_it() -> None:
    assert budget_compliance(np.full(10, 1.009), 1.0, window=5, settling=0).within == 1.0
    assert budget_compliance(np.full(10, 1.011), 1.0, window=5, settling=0).within == 0.0


def test_an_average_that_keeps_the_ceiling_may_hide_a_window_that_does_not() -> None:
    cost = np.concatenate([np.full(700, 2.0), np.zeros(700)])
    found = budget_compliance(cost, 1.0)
    assert cost.mean() == 1.0
    assert found.worst == pytest.approx(2.0)
    assert found.windows == 701
    # windows start at round 200 + i; at most 252 of their 500 rounds may cost 2, so from i = 248 on
    assert found.within == pytest.approx((701 - 248) / 701)


def test_a_short_run_is_one_window() -> None:
    found = budget_compliance(np.array([5.0, 1.0, 3.0]), 2.0, window=500, settling=1)
    assert (found.worst, found.windows) == (1.0, 1)


def test_an_unknown_cost_leaves_compliance_unknown() -> None:
    found = budget_compliance(np.array([1.0, np.nan]), 2.0, settling=0)
    assert np.isnan(found.worst)
    assert np.isnan(found.within)


@pytest.mark.parametrize(("rounds", "ceiling", "window"), [(200, 1.0, 500), (300, 0.0, 500), (300, 1.0, 0)])
def test_what_cannot_be_judged_is_refused(rounds: int, ceiling: float, window: int) -> None:
    with pytest.raises(ValueError, match="need a ceiling above 0"):
        budget_compliance(np.ones(rounds), ceiling, window=window)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_windows_are_as_a_plain_loop_finds_them_and_in_no_currency(seed: int, window: int) -> None:
    cost = np.random.default_rng(seed).exponential(size=30)
    size = min(window, 25)
    means = np.array([cost[start : start + size].mean() for start in range(5, 31 - size)])
    found = budget_compliance(cost, 1.1, window=window, settling=5)
    assert found.worst == pytest.approx(means.max() / 1.1)
    assert found.within == pytest.approx((means <= 1.1 * 1.01).mean())
    assert budget_compliance(cost * 100, 110.0, window=window, settling=5).worst == pytest.approx(found.worst)


def test_a_budget_of_which_nothing_is_spent_is_kept() -> None:
    found = budget_compliance(np.zeros(700), 1.0)
    assert (found.worst, found.within, found.windows) == (0.0, 1.0, 1)
