import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.cost.budget import SpendLimits, TenantBudget
from highwayman.env.cost.spend_ledger import DAY_S, Spend, SpendLedger, day_of
from highwayman.env.types import Floats

COSTS = np.array([0.001, 0.01, 0.1])
WORTH = np.array([0.5, 0.6, 0.7])


def spend_a_day(budget: TenantBudget, *, requests: int, day: int = 0, rng: np.random.Generator) -> Floats:
    """Take the best arm after penalties at each of evenly spread requests; return what each cost."""
    costs = np.empty(requests)
    for number in range(requests):
        at = (day + (number + 0.5) / requests) * DAY_S
        able = ~budget.over_budget(COSTS, at=at)
        worth = np.where(able, WORTH + rng.normal(0, 0.05, 3) - budget.penalties(COSTS, at=at), -np.inf)
        arm = int(worth.argmax()) if able.any() else 0
        if not able.any():
            costs[number] = 0.0
            continue
        call = f"{day}:{number}"
        budget.reserve(call, COSTS[arm])
        costs[number] = COSTS[arm] * rng.uniform(0.8, 1.2)
        budget.charge(call, float(costs[number]), at=at)
    return costs


def test_a_budget_per_request_is_held_on_average() -> None:
    costs = spend_a_day(TenantBudget(SpendLimits(usd_per_request=0.02)), requests=4000, rng=np.random.default_rng(0))
    assert 0.8 * 0.02 < costs[200:].mean() <= 1.01 * 0.02


@pytest.mark.parametrize("hard", [False, True])
def test_a_budget_per_day_lasts_for_the_day_and_is_used(hard: bool) -> None:
    budget, rng = TenantBudget(SpendLimits(usd_per_day=40.0, hard=hard)), np.random.default_rng(1)
    spend_a_day(budget, requests=4000, rng=rng)
    second = spend_a_day(budget, requests=4000, day=1, rng=rng)
    assert 30.0 < second.sum() <= 40.0 * 1.01
    assert second[-1000:].sum() > 4.0  # something was left for the evening


def test_a_hard_ceiling_counts_calls_under_way() -> None:
    budget = TenantBudget(SpendLimits(usd_per_day=0.25, hard=True))
    for number in range(2):
        assert not budget.over_budget(COSTS, at=0.0)[2]
        budget.reserve(str(number), 0.1)
    assert budget.over_budget(COSTS, at=0.0).tolist() == [False, False, True]
    assert budget.remaining_usd(at=0.0) == pytest.approx(0.05)
    budget.charge("0", 0.02, at=1.0)
    assert not budget.over_budget(COSTS, at=1.0)[2]


def test_where_a_budget_stands_is_what_ended_what_is_set_aside_and_what_a_dollar_counts_now() -> None:
    budget = TenantBudget(SpendLimits(usd_per_request=0.02, usd_per_day=1.0))
    budget.reserve("a", 0.1)
    budget.reserve("b", 0.1)
    budget.charge("a", 0.3, at=0.5 * DAY_S)
    standing = budget.standing(at=0.5 * DAY_S)
    assert (standing.today, standing.yesterday, standing.under_way) == (Spend(0.3, 1), Spend(), 1)
    assert standing.set_aside_usd == pytest.approx(0.1)
    assert standing.request_points_per_usd is not None
    assert standing.request_points_per_usd > 100 / 0.02  # 1 of quality a budget at first, and the first call was dear
    assert standing.mean_usd == pytest.approx((499 * 0.02 + 0.3) / 500)
    assert TenantBudget(SpendLimits()).standing(at=0.0).day_points_per_usd is None


@given(st.lists(st.floats(0.0005, 0.2), min_size=1, max_size=60))
def test_a_hard_day_is_never_overspent_where_calls_cost_what_was_expected(prices: list[float]) -> None:
    budget, spent = TenantBudget(SpendLimits(usd_per_day=1.0, hard=True)), 0.0
    for number, price in enumerate(prices):
        if budget.over_budget(np.array([price]), at=float(number))[0]:
            continue
        budget.reserve(str(number), price)
        budget.charge(str(number), price, at=float(number))
        spent += price
    assert spent <= 1.0 + 1e-9


def test_midnight_begins_a_new_day() -> None:
    budget = TenantBudget(SpendLimits(usd_per_day=0.05, hard=True))
    budget.reserve("a", 0.05)
    budget.charge("a", 0.05, at=11.0)
    assert budget.over_budget(COSTS, at=DAY_S - 1).all()
    assert budget.over_budget(COSTS, at=DAY_S + 1).tolist() == [False, False, True]


TODAY = 20_000  # a day of 2024
NOON = TODAY * DAY_S + DAY_S / 2


def aim(spent: dict[int, Spend], *, at: float = NOON, under_way_usd: tuple[float, ...] = ()) -> float:
    """What a request may cost for a day's $40 to last, where so much was spent on some days and is under way."""
    ledger = SpendLedger()
    ledger.on_published((1, 0), spent)
    budget = TenantBudget(SpendLimits(usd_per_day=40.0), ledger)
    for number, usd in enumerate(under_way_usd):
        budget.reserve(str(number), usd)
    return 1.0 / float(budget.penalties(np.array([1.0]), at=at)[0])  # at first, an aim's worth of dollars is a point's


def test_what_is_left_of_a_day_is_spread_over_the_requests_that_are_still_to_come() -> None:
    ten = Spend(10.0, 99)
    assert aim({TODAY: ten}) == pytest.approx(30.0 / 100)  # as many in the second half as in the first
    assert aim({TODAY: ten}, at=NOON + DAY_S / 4) == pytest.approx(30.0 / (100 / 3))
    assert aim({TODAY: ten, TODAY - 2: Spend(40.0, 9999)}) == pytest.approx(30.0 / 100)
    assert aim({TODAY: ten}, under_way_usd=(4.0, 1.0)) == pytest.approx(25.0 / 102)
    yesterday = Spend(40.0, 24 * 360)  # six a minute; an hour of them stands for today's until it has its own
    assert aim({TODAY: ten, TODAY - 1: yesterday}) == pytest.approx(30.0 / ((100 + 360) / 13 * 12))
    assert aim({TODAY - 1: yesterday}, at=TODAY * DAY_S) == pytest.approx(40.0 / (361 * 24))


def test_the_ends_of_a_day_leave_something_to_aim_at() -> None:
    assert aim({}, at=TODAY * DAY_S) == pytest.approx(40.0 / (DAY_S / 60))  # one a minute, as nobody knows better
    assert aim({TODAY: Spend(39.0, 5)}, at=(TODAY + 1) * DAY_S - 1.0) == pytest.approx(1.0)  # there is one, at least
    assert aim({TODAY: Spend(41.0, 100)}) == pytest.approx(40e-6)


def test_a_day_counts_what_ended_on_it_and_what_is_under_way() -> None:
    budget = TenantBudget(SpendLimits(usd_per_day=4.0, hard=True))
    for call, usd in (("a", 1.0), ("b", 0.5), ("c", math.nan)):
        budget.reserve(call, usd)
    assert budget.remaining_usd(at=NOON) == 2.5
    budget.charge("a", 2.0, at=NOON)
    budget.charge("unheard of", 0.25, at=NOON)
    assert budget.remaining_usd(at=NOON) == 1.25
    assert budget.remaining_usd(at=NOON + DAY_S) == 3.5
    assert budget.remaining_usd(at=NOON - DAY_S) == 3.5


def test_without_ceilings_nothing_is_dear_and_nothing_barred() -> None:
    budget = TenantBudget(SpendLimits())
    assert budget.penalties(COSTS, at=0.0).tolist() == [0.0, 0.0, 0.0]
    assert not budget.over_budget(COSTS, at=0.0).any()
    assert budget.remaining_usd(at=0.0) == math.inf


def test_an_arm_without_a_price_carries_as_much_as_the_dearest_and_is_charged_nothing() -> None:
    budget = TenantBudget(SpendLimits(usd_per_request=0.01, usd_per_day=1.0))
    unknown, known = budget.penalties(np.array([np.nan, 0.1]), at=0.0)
    assert unknown == known > 0.0
    budget.reserve("a", math.nan)
    budget.charge("a", None, at=1.0)
    assert budget.remaining_usd(at=2.0) == 1.0


@pytest.mark.parametrize("ceiling", [0.0, -1.0, math.nan])
def test_a_ceiling_must_be_dollars(ceiling: float) -> None:
    with pytest.raises(ValueError, match="budget_usd must be a number > 0"):
        TenantBudget(SpendLimits(usd_per_day=ceiling))


def test_processes_that_hear_of_each_other_now_and_then_hold_one_day_together() -> None:
    rng, ledgers = np.random.default_rng(2), [SpendLedger() for _ in range(3)]
    budgets = [TenantBudget(SpendLimits(usd_per_day=40.0), ledger) for ledger in ledgers]
    days: dict[int, Spend] = {}
    for number in range(8000):
        at = (number + 0.5) / 4000 * DAY_S
        budget, call = budgets[number % 3], str(number)
        arm = int((WORTH + rng.normal(0, 0.05, 3) - budget.penalties(COSTS, at=at)).argmax())
        cost = float(COSTS[arm] * rng.uniform(0.8, 1.2))
        budget.reserve(call, COSTS[arm])
        budget.charge(call, cost, at=at)
        ledgers[number % 3].on_logged(call, (number, 0))
        days[day_of(at)] = days.get(day_of(at), Spend()).plus(cost, 1)
        if number % 20 == 0:
            for ledger in ledgers:
                ledger.on_published((number, 0), dict(days))
    assert 30.0 < days[1].usd <= 40.0 * 1.02  # what the others spend in 20 requests is not known in time


def test_a_ceiling_per_request_bars_what_was_not_saved_for_and_what_calls_under_way_may_take() -> None:
    budget = TenantBudget(SpendLimits(usd_per_request=0.02))
    assert budget.over_budget(COSTS, at=0.0)[[0, 2]].tolist() == [False, True]
    for number in range(300):  # 5.7 dollars are saved
        budget.reserve(str(number), 0.001)
        budget.charge(str(number), 0.001, at=float(number))
    assert not budget.over_budget(COSTS, at=300.0).any()
    for number in range(100):
        budget.reserve(f"dear {number}", 0.1)
    assert budget.over_budget(COSTS, at=300.0)[[0, 2]].tolist() == [False, True]


def test_other_ceilings_hold_at_once_and_what_was_spent_and_is_under_way_counts_against_them() -> None:
    budget = TenantBudget(SpendLimits(usd_per_day=1.0, hard=True))
    budget.reserve("one", 0.3)
    budget.charge("one", 0.3, at=0.0)
    budget.reserve("two", 0.2)
    budget.follow(SpendLimits(usd_per_day=0.6, hard=True))
    assert budget.remaining_usd(at=1.0) == pytest.approx(0.1)
    assert budget.over_budget(np.array([0.05, 0.15]), at=1.0).tolist() == [False, True]
    budget.follow(SpendLimits(usd_per_request=0.1))
    budget.charge("two", 0.2, at=1.0)
    assert math.isinf(budget.remaining_usd(at=1.0))
    budget.follow(SpendLimits())
    assert not budget.over_budget(np.array([1e9]), at=1.0).any()
    assert budget.penalties(COSTS, at=1.0).tolist() == [0.0, 0.0, 0.0]


CALLS = st.lists(st.tuples(st.floats(0.001, 0.3), st.floats(1.0, 40.0), st.floats(0.0, 1.0), st.integers(0, 8)))


@given(CALLS)
def test_a_hard_day_is_never_overspent_whatever_calls_cost_up_to_what_they_can_at_most_and_however_many_run(
    calls: list[tuple[float, float, float, int]],
) -> None:
    budget, under_way, spent = TenantBudget(SpendLimits(usd_per_day=1.0, hard=True)), list[tuple[int, float]](), 0.0
    for number, (expected, times, share, ends) in enumerate(calls):
        most = expected * times
        if not budget.over_budget(np.array([expected]), np.array([most]), at=0.0)[0]:
            budget.reserve(str(number), expected, most)
            under_way.append((number, share * most))
        for _ in range(min(ends, len(under_way))):
            ended, cost = under_way.pop(0)
            budget.charge(str(ended), cost, at=0.0)
            spent += cost
    assert spent + sum(cost for _, cost in under_way) <= 1.0 + 1e-9


@given(CALLS)
def test_no_window_of_a_hard_mean_goes_above_it_whatever_calls_cost_up_to_what_they_can_at_most(
    calls: list[tuple[float, float, float, int]],
) -> None:
    budget, under_way = TenantBudget(SpendLimits(usd_per_request=0.02, hard=True)), list[tuple[int, float]]()
    costs = [0.02] * 500
    for number, (expected, times, share, ends) in enumerate(calls):
        dear = np.array([0.0, expected]), np.array([0.0, expected * times])
        barred = budget.over_budget(*dear, at=0.0)[1]
        budget.reserve(str(number), float(dear[0][1 - barred]), float(dear[1][1 - barred]))
        under_way.append((number, 0.0 if barred else share * expected * times))
        for _ in range(min(ends, len(under_way))):
            ended, cost = under_way.pop(0)
            budget.charge(str(ended), cost, at=0.0)
            costs.append(cost)
    assert max(np.convolve(costs, np.ones(500), mode="valid")) <= 500 * 0.02 * (1 + 1e-9)


def test_what_was_set_aside_for_a_call_comes_back_when_it_ends_cheaper_and_moves_with_it_to_another_arm() -> None:
    budget, expected, most = TenantBudget(SpendLimits(usd_per_day=1.0, hard=True)), np.array([0.1]), np.array([0.6])
    budget.reserve("a", 0.1, 0.6)
    assert budget.remaining_usd(at=0.0) == pytest.approx(0.4)
    assert budget.over_budget(expected, most, at=0.0)[0]
    assert not budget.over_budget(expected, most, at=0.0, call="a")[0]  # of itself it is not in the way
    budget.reserve("a", 0.05, 0.2)
    assert budget.remaining_usd(at=0.0) == pytest.approx(0.8)
    budget.charge("a", 0.01, at=0.0)
    assert budget.remaining_usd(at=0.0) == pytest.approx(0.99)
    assert not budget.over_budget(expected, most, at=0.0)[0]


def test_a_hard_day_takes_a_call_without_a_known_limit_to_cost_as_many_times_its_expectation_as_any_did() -> None:
    budget, expected = TenantBudget(SpendLimits(usd_per_day=1.0, hard=True)), np.array([0.1, math.nan])
    assert budget.over_budget(np.array([1.01]), at=0.0)[0]
    assert not budget.over_budget(expected, np.array([math.nan, math.nan]), at=0.0).any()
    budget.reserve("a", 0.1)
    budget.charge("a", 0.4, at=0.0)
    budget.reserve("b", 0.1)
    assert budget.remaining_usd(at=0.0) == pytest.approx(1.0 - 0.4 - 0.4)
    assert budget.over_budget(expected, at=0.0).tolist() == [True, False]
    budget.charge("b", 5.0, at=0.0)
    assert budget.over_budget(expected, at=0.0).tolist() == [True, False], "an arm without a price stays open"


def test_without_hard_what_calls_can_cost_at_most_makes_no_difference() -> None:
    for limits in (SpendLimits(usd_per_request=0.02), SpendLimits(usd_per_day=4.0)):
        plain, told = TenantBudget(limits), TenantBudget(limits)
        plain.reserve("a", 0.1)
        told.reserve("a", 0.1, 3.9)
        assert plain.remaining_usd(at=0.0) == told.remaining_usd(at=0.0)
        assert plain.over_budget(COSTS, at=0.0).tolist() == told.over_budget(COSTS, 100 * COSTS, at=0.0).tolist()
        assert plain.penalties(COSTS, at=0.0).tolist() == told.penalties(COSTS, at=0.0).tolist()
