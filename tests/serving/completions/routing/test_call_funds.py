"""Dollars set aside for calls under a hard ceiling, by a router with a real policy, pool and encoder."""

from dataclasses import replace

import pytest

from highwayman.env.cost.budget import SpendLimits
from highwayman.env.errors import BudgetExhausted
from tests.feedback.worlds import outcome
from tests.serving.completions.routing.routers import (
    GREEDY,
    NOW,
    QUERY,
    Routers,
    taught,
    two,
)


async def test_a_hard_budget_bars_what_it_cannot_pay_for_and_nothing_that_has_no_price(routers: Routers) -> None:
    limits = SpendLimits(usd_per_day=0.001, hard=True)
    assert (await routers(two(), limits=limits).route("auto", QUERY)).decision.arms == ("small",)
    unpriced = replace(two()[1], usd_per_mtok_in=None, usd_per_mtok_out=None)
    assert (await routers([unpriced], limits=limits).route("auto", QUERY)).decision.arms == ("large",)
    with pytest.raises(BudgetExhausted, match="begins anew at 0:00 UTC"):
        await routers([two()[1]], limits=limits).route("auto", QUERY)


async def test_calls_under_way_count_against_a_hard_budget_until_they_end(routers: Routers) -> None:
    router = routers([two()[1]], limits=SpendLimits(usd_per_day=0.04, hard=True))
    under_way = (await router.route("auto", QUERY)).decision
    with pytest.raises(BudgetExhausted):
        await router.route("auto", QUERY)
    router.funds.spend_tracker.on_outcome(replace(outcome(under_way.id, arm="large", cost_usd=0.001), at=NOW))
    await router.route("auto", QUERY)


LIMITED = replace(QUERY, max_tokens=100)  # at most 100 * $100 / M of the dear arm's answer, and the prompt: 1 cent
TWO_CALLS = SpendLimits(usd_per_day=0.026, hard=True)


async def test_a_hard_budget_sets_aside_what_a_limited_answer_can_cost_and_gives_back_what_it_did_not(
    routers: Routers,
) -> None:
    router = routers([two()[1]], limits=TWO_CALLS)
    calls = [(await router.route("auto", LIMITED)).decision for _ in range(2)]
    with pytest.raises(BudgetExhausted):
        await router.route("auto", LIMITED)
    router.funds.spend_tracker.on_outcome(replace(outcome(calls[0].id, arm="large", cost_usd=0.001), at=NOW))
    await router.route("auto", LIMITED)
    with pytest.raises(BudgetExhausted):
        await routers([two()[1]], limits=TWO_CALLS).route("auto", replace(LIMITED, answers=3))


async def test_an_arm_whose_limit_is_dearer_than_what_is_left_is_not_eligible_however_short_its_answers_are(
    routers: Routers,
) -> None:
    router = routers(two(), limits=TWO_CALLS)
    assert (await router.route("auto", LIMITED)).decision.arms == ("small", "large")
    assert (await router.route("auto", replace(LIMITED, max_tokens=1000))).decision.arms == ("small",)
    soft = routers(two(), limits=replace(TWO_CALLS, hard=False))
    assert (await soft.route("auto", replace(LIMITED, max_tokens=1000))).decision.arms == ("small", "large")


async def test_after_a_failure_a_hard_budget_lets_a_dearer_arm_be_asked_only_while_it_fits_and_sets_its_cost_aside(
    routers: Routers,
) -> None:
    router = routers(two(), limits=TWO_CALLS)
    await taught(router, {"small": 1.0, "large": 0.0})
    routes = [await router.route("auto", LIMITED, options=GREEDY) for _ in range(3)]
    assert [route.arms[0].name for route in routes] == ["small"] * 3
    may_ask = [route.may_ask for route in routes if route.may_ask is not None]
    small, large = routes[0].arms
    assert [ask(large) for ask in may_ask] == [True, True, False]
    assert all(ask(small) for ask in may_ask)
    assert may_ask[0](large), "for whom it is set aside already"
    assert (await routers(two()).route("auto", LIMITED)).may_ask is None


class FasterOthers:
    """What others leave of a day: as much as was told, none of which this process knew."""

    def __init__(self, left_usd: float) -> None:
        self.usd = left_usd

    async def claim(self, decision_id: str, most_usd: float) -> bool:
        return most_usd <= self.usd

    async def left_usd(self) -> float:
        return self.usd


async def test_where_others_have_claimed_the_day_a_request_goes_to_an_arm_that_fits_in_what_they_leave_or_is_refused(
    routers: Routers,
) -> None:
    router = routers(two(), limits=TWO_CALLS)
    router.funds.claims = FasterOthers(0.005)  # type: ignore[assignment]
    assert (await router.route("auto", LIMITED)).decision.arms == ("small",)
    router.funds.claims = FasterOthers(0.0)  # type: ignore[assignment]
    for _ in range(5):
        with pytest.raises(BudgetExhausted):
            await router.route("auto", LIMITED)
    router.funds.claims = None
    assert (await router.route("auto", LIMITED)).decision.arms == ("small", "large"), "nothing stayed set aside"
    assert router.funds.spend_tracker.in_flight("small") + router.funds.spend_tracker.in_flight("large") == 2
