import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.spend_window import CostOverruns, SpendWindow


def test_the_room_is_what_the_calls_still_in_the_window_leave() -> None:
    window = SpendWindow(4, 1.0)
    for cost in (2.0, 0.0, 0.5, 1.5):
        window.add(cost)
    assert window.costs() == [2.0, 0.0, 0.5, 1.5]
    assert window.headroom_usd(1.0, cheapest_usd=0.0) == pytest.approx(4.0 - 2.0)  # the oldest makes way
    assert window.headroom_usd(1.0, cheapest_usd=0.0, under_way=[0.25]) == pytest.approx(4.0 - 2.0 - 0.25)


def test_room_is_left_for_the_cheapest_calls_that_follow() -> None:
    window = SpendWindow(3, 0.0)
    for cost in (0.0, 0.0, 3.0):
        window.add(cost)
    # The next window holds 0, 3 and the call; the one after that 3, the call, and one of the cheapest: 0.1 + 3 * 0.1.
    assert window.headroom_usd(2.0, cheapest_usd=0.1) == pytest.approx(6.0 - 3.0 - 0.4)


@given(st.lists(st.floats(0.0, 5.0), max_size=60), st.integers(2, 20))
def test_calls_that_cost_no_more_than_the_room_keep_every_window(wishes: list[float], size: int) -> None:
    window, spent = SpendWindow(size, 1.0), [1.0] * size
    for wish in wishes:
        cost = wish if wish <= window.headroom_usd(1.0, cheapest_usd=0.0) else 0.0
        window.add(cost)
        spent.append(cost)
    assert all(sum(spent[t : t + size]) <= size * (1 + 1e-9) for t in range(len(spent) - size + 1))


def test_more_calls_under_way_than_the_window_holds_leave_no_room() -> None:
    assert SpendWindow(4, 1.0).headroom_usd(1.0, cheapest_usd=0.1, under_way=[1.0] * 9) < 0.0


def test_a_call_is_taken_to_cost_twelve_times_its_expectation_until_more_is_known() -> None:
    overruns = CostOverruns()
    assert overruns.upper_bound_usd(np.array([0.5, 0.0])).tolist() == [6.0, 0.0]
    assert math.isnan(overruns.upper_bound_usd(np.array([math.nan]))[0])
    for _ in range(200):
        overruns.add(1.0, 0.5)
    assert overruns.upper_bound_usd(np.array([0.6, 8.0])) == pytest.approx(
        [6 * 0.6, 96.0]
    )  # 0.5 and 0.6: arms of one price
    overruns.add(10.0, 0.5)
    assert overruns.upper_bound_usd(np.array([0.5])) == pytest.approx([10.0])


def test_what_had_no_expectation_teaches_nothing() -> None:
    overruns = CostOverruns()
    overruns.add(5.0, 0.0)
    overruns.add(5.0, math.nan)
    assert overruns.state() == {}


def test_a_window_of_one_call_is_refused() -> None:
    with pytest.raises(ValueError, match="window must be >= 2, got 1"):
        SpendWindow(1, 1.0)


def test_the_more_calls_of_about_a_price_were_met_the_less_is_allowed_for_beyond_the_dearest() -> None:
    bounds = []
    for calls in (200, 400, 4_000):
        overruns = CostOverruns()
        for k in range(calls):
            overruns.add(1.0, 0.5 if k % 2 else 0.9)  # twice what was expected at most, at two prices side by side
            overruns.add(1.5, 1.1)
        bounds.append(float(overruns.upper_bound_usd(np.array([0.6]))[0]) / 0.6)
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] < 6.0
    assert 2.0 < bounds[-1] < 2.2


def test_calls_that_never_cost_more_than_expected_are_in_the_end_allowed_for_little_more() -> None:
    overruns = CostOverruns()
    for _ in range(40_000):
        overruns.add(0.25, 0.5)
    assert overruns.upper_bound_usd(np.array([0.5])) == pytest.approx([0.5], rel=0.02)
    assert overruns.upper_bound_usd(np.array([0.5])) >= 0.5


def test_calls_under_way_push_all_but_the_last_that_ended_out_of_the_window() -> None:
    window = SpendWindow(4, 0.0)
    for cost in (1.0, 1.0, 1.0, 2.0):
        window.add(cost)
    rooms = [window.headroom_usd(2.0, cheapest_usd=0.0, under_way=[0.0] * count) for count in (0, 1, 2, 3, 9)]
    assert rooms == [8.0 - 4.0, 8.0 - 3.0, 8.0 - 2.0, 8.0 - 2.0, 8.0 - 2.0]


def test_out_of_money_to_spare_three_times_the_dearest_is_kept_until_thousands_of_calls_are_known() -> None:
    overruns, expected, bounds = CostOverruns(), np.array([1.0]), []
    for calls in range(1, 10_001):
        overruns.add(3.0, 1.0)
        if calls in (199, 400, 2500, 10_000):
            bounds += overruns.upper_bound_usd(expected, spare_usd=20.0).tolist()
    assert bounds == pytest.approx([12.0, 9.0, 9.0, 5.0])
    assert overruns.upper_bound_usd(expected, spare_usd=1.0) == pytest.approx([3.12])
    assert overruns.upper_bound_usd(expected) == pytest.approx([3.12])
