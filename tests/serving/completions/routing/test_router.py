"""Decisions by a router with a real policy, pool and encoder; nothing is called, and Redis is asked nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policies.fixed import Fixed
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.softmax import Softmax
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.budget import SpendLimits
from highwayman.env.encoder.encoder import Encoder
from highwayman.env.errors import NoEligibleArm, UnknownArm
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.types import CLIENT_TASK, NO_EXPLORATION, Arm, ArmState, Context, Mode, Query
from highwayman.serving.completions.answer_cache.answer_cache import CachedAnswer
from highwayman.serving.completions.answer_cache.answer_store import StoredAnswer
from highwayman.serving.completions.conversations.continuation import Continuation
from highwayman.serving.completions.requests.routing_options import RoutingOptions
from highwayman.serving.completions.routing.decision_records import RequestOrigin
from highwayman.serving.completions.routing.router import DIRECT
from tests.feedback.worlds import outcome
from tests.serving.completions.routing.routers import CHEAP, DEAR, FLOOR, GREEDY, NOW, QUERY, Routers, taught, two
from tests.serving.running_router import arm


async def test_an_unknown_model_names_what_is_known(routers: Routers) -> None:
    with pytest.raises(
        UnknownArm, match=r"'gpt-9' does not exist\. .*: auto, auto-cheap, auto-quality, small, large\."
    ):
        await routers(two()).route("gpt-9", QUERY)


async def test_a_named_arm_is_taken_for_certain_and_nobody_stands_in_for_it(routers: Routers) -> None:
    route = await routers(two()).route("large", QUERY)
    decision = route.decision
    assert [one.name for one in route.arms] == ["large"]
    assert (decision.mode, decision.objective, decision.arms) == (Mode.FORCED, DIRECT, ("large",))
    assert (decision.propensity, decision.probs.tolist(), decision.penalties.tolist()) == (1.0, [1.0], [0.0])


async def test_a_named_arm_that_leaves_the_pool_while_its_request_is_read_still_answers(
    routers: Routers, monkeypatch: pytest.MonkeyPatch
) -> None:
    router, encode = routers(two()), Encoder.encode

    async def encode_slowly(encoder: Encoder, query: Query) -> Context:
        router.pool.replace_arms(two()[:1])
        return await encode(encoder, query)

    monkeypatch.setattr(Encoder, "encode", encode_slowly)
    route = await router.route("large", QUERY)
    assert [called.name for called in route.arms] == ["large"]
    assert route.needed_tokens is not None
    assert route.needed_tokens(route.arms[0]) > 0


async def test_an_arms_name_means_the_arm_whatever_objective_the_caller_wants(routers: Routers) -> None:
    route = await routers(two()).route("large", QUERY, options=RoutingOptions(alias="auto-cheap"))
    assert route.decision.mode is Mode.FORCED


@pytest.mark.parametrize(
    ("changes", "query", "why"),
    [
        ({"state": ArmState.DRAINING}, QUERY, "it is draining"),
        ({"context_window_tokens": 64}, replace(QUERY, max_tokens=100), "it has a window of 64 tokens, about"),
        ({}, replace(QUERY, images=1), "it does not read images"),
        ({}, replace(QUERY, tools=1), "it does not call tools"),
    ],
)
async def test_a_named_arm_that_may_not_answer_says_why(
    changes: dict[str, Any], query: Query, why: str, routers: Routers
) -> None:
    with pytest.raises(NoEligibleArm, match=f"'large' may not answer this request: {why}"):
        await routers(two(**changes)).route("large", query)


async def test_a_request_that_was_refused_as_too_long_is_not_sent_there_again_and_one_as_long_as_was_answered_is(
    routers: Routers,
) -> None:
    router = routers(two())
    short, long = replace(QUERY, max_tokens=20), replace(QUERY, max_tokens=3000)
    needed = {}
    for query in (short, long):
        route = await router.route("large", query)
        assert route.needed_tokens is not None
        needed[query] = route.needed_tokens(route.arms[0])
    assert needed[long] - needed[short] == 2980
    large = router.pool.arm("large")
    router.pool.on_window_too_small(large, None, needed[long])
    with pytest.raises(NoEligibleArm, match=f"has a window of {needed[long] - 1} tokens"):
        await router.route("large", long)
    router.pool.on_answered(large, needed[short])
    router.pool.on_window_too_small(large, None, needed[short] - 5)
    assert (await router.route("large", short)).arms == (large,)


async def test_the_others_are_tried_in_the_order_of_their_probability(routers: Routers) -> None:
    names = ("a", "b", "c", "d")
    router = routers([arm(name, "http://127.0.0.1:9", price=None) for name in names], Softmax)
    await taught(router, {"a": 0.50, "b": 0.53, "c": 0.47, "d": 0.56})
    firsts = set()
    for _ in range(40):
        route = await router.route("auto", QUERY)
        first, *others = [one.name for one in route.arms]
        firsts.add(first)
        assert first == route.decision.arm
        assert others == [name for name in ("d", "b", "a", "c") if name != first]
    assert len(firsts) > 1  # the draw is none of the order's business


async def test_each_tenant_has_the_policy_that_its_own_people_taught(routers: Routers) -> None:
    router = routers(two(), LinTS)
    await taught(router, {"small": 0.0, "large": 1.0}, tenant="one")
    free = RoutingOptions(cost_weight=0.0)
    one = (await router.route("auto", QUERY, options=free, origin=RequestOrigin("one"))).decision
    other = (await router.route("auto", QUERY, options=free, origin=RequestOrigin("other"))).decision
    assert (one.tenant, other.tenant) == ("one", "other")
    assert one.probs[1] > 0.95
    assert other.probs.tolist() == [0.5, 0.5]
    routers.ids.verify(one.id, "one")


async def test_an_objective_prices_the_arms_and_a_caller_may_weigh_cost_otherwise(routers: Routers) -> None:
    router = routers(two())
    for model, options, weight in [
        ("auto", RoutingOptions(), 0.15),
        ("auto", RoutingOptions(alias="auto-cheap"), 0.5),
        ("auto-quality", RoutingOptions(), 0.0),
        ("auto", RoutingOptions(cost_weight=0.9), 0.9),
        ("auto", RoutingOptions(points_per_usd=0.9 / 0.01 / ((DEAR - CHEAP) * 1_256e-6)), 0.9),
    ]:
        decision = (await router.route(model, QUERY, options=options)).decision
        # The reference call is of 1,000 tokens and an answer; this one is of a tenth of the prompt and the same answer.
        usd = np.array([CHEAP, DEAR]) * (decision.context.prompt_tokens + 256) * 1e-6
        span_usd = (DEAR - CHEAP) * 1_256e-6
        assert decision.penalties == pytest.approx(weight * usd / span_usd, rel=0.01)
        assert decision.objective == (options.alias or model)


async def test_a_minimum_quality_keeps_to_arms_from_which_it_is_expected_or_to_the_best(routers: Routers) -> None:
    router = routers(two())
    await taught(router, {"small": 0.3, "large": 0.7})
    for least, arms in [(0.2, ("small", "large")), (0.5, ("large",)), (0.99, ("large",))]:
        route = await router.route("auto", QUERY, options=RoutingOptions(min_quality=least))
        assert route.decision.arms == arms


async def test_a_policy_that_expects_nothing_leaves_every_arm_in_whatever_the_minimum(routers: Routers) -> None:
    route = await routers(two(), Uniform).route("auto", QUERY, options=RoutingOptions(min_quality=1.0))
    assert route.decision.arms == ("small", "large")


async def test_a_maximum_cost_leaves_dear_arms_out_and_those_of_which_nobody_knows(routers: Routers) -> None:
    router = routers([*two(), arm("unpriced", "http://127.0.0.1:9", price=None)])
    route = await router.route("auto", QUERY, options=RoutingOptions(max_usd=0.001))
    assert route.decision.arms == ("small",)
    told = r"at most \$1e-07: small about \$\S+; large about \$0.027; unpriced has no price\."
    with pytest.raises(NoEligibleArm, match=told):
        await router.route("auto", QUERY, options=RoutingOptions(max_usd=1e-7))


@pytest.mark.parametrize(("query", "options"), [(QUERY, GREEDY), (replace(QUERY, in_tool_loop=True), RoutingOptions())])
async def test_nothing_is_tried_out_where_the_caller_forbids_it_or_in_a_tool_loop(
    query: Query, options: RoutingOptions, routers: Routers
) -> None:
    router = routers(two())
    await taught(router, {"small": 0.0, "large": 1.0})
    for _ in range(5):
        decision = (await router.route("auto", query, options=options)).decision
        assert (decision.arm, decision.probs.tolist(), decision.propensity) == ("large", [0.0, 1.0], 1.0)


@pytest.mark.parametrize("ceiling", [{"usd_per_day": 0.0}, {"regret_per_request": 0.0}])
async def test_exploration_that_may_cost_nothing_leaves_the_arm_worth_most(
    ceiling: dict[str, float], routers: Routers
) -> None:
    router = routers(two(), cap=ExplorationCap(**ceiling))
    await taught(router, {"small": 0.6, "large": 0.5})
    decision = (await router.route("auto", QUERY)).decision
    assert decision.probs.tolist() == [1.0, 0.0]


async def test_an_arm_on_probation_has_its_share_until_it_has_cost_what_it_may(routers: Routers) -> None:
    router = routers(
        two(state=ArmState.PROBATION), lambda **wanted: Fixed(**wanted, arm="small"), quota=ProbationQuota(0.5, 0.02)
    )
    assert (await router.route("auto", QUERY)).decision.probs == pytest.approx([0.5, 0.5])
    while (decision := (await router.route("auto", QUERY)).decision).arm != "large":
        router.funds.spend_tracker.on_outcome(outcome(decision.id, arm="small"))
    after = (await router.route("auto", QUERY)).decision  # a call to it is under way, which is expected to cost more
    assert after.probs == pytest.approx([1 - FLOOR / 2, FLOOR / 2])


async def test_nothing_of_a_probations_share_is_left_where_the_caller_forbids_exploration(routers: Routers) -> None:
    router = routers(two(state=ArmState.PROBATION), quota=ProbationQuota(0.5, None))
    await taught(router, {"small": 1.0, "large": 0.0})
    assert (await router.route("auto", QUERY, options=GREEDY)).decision.probs.tolist() == [1.0, 0.0]


RESULT = replace(QUERY, in_tool_loop=True)


@pytest.mark.parametrize("caller", ["small", "large"])
async def test_a_tools_result_goes_to_the_arm_that_called_whatever_the_policy_thinks(
    caller: str, routers: Routers
) -> None:
    router = routers(two())
    await taught(router, {"small": 0.0, "large": 1.0})
    wanted = RoutingOptions(min_quality=0.9)
    route = await router.route("auto", RESULT, options=wanted, continuation=Continuation(True, caller))
    decision = route.decision
    assert (decision.mode, decision.arms, decision.propensity, decision.objective) == (
        Mode.STICKY,
        (caller,),
        1.0,
        "auto",
    )
    assert [served.name for served in route.arms] == [caller, *({"small", "large"} - {caller})]
    assert router.funds.spend_tracker.in_flight(caller) == 1


@pytest.mark.parametrize(
    ("arms", "options"),
    [
        (two(state=ArmState.DRAINING), RoutingOptions()),
        (two(context_window_tokens=20), RoutingOptions()),
        (two(), RoutingOptions(max_usd=0.001)),
    ],
)
async def test_a_caller_that_may_not_answer_gives_way_to_a_decision_that_tries_nothing_out(
    arms: list[Arm], options: RoutingOptions, routers: Routers
) -> None:
    decision = (
        await routers(arms).route("auto", RESULT, options=options, continuation=Continuation(True, "large"))
    ).decision
    assert (decision.mode, decision.arm, decision.propensity) == (Mode.ROUTE, "small", 1.0)
    assert NO_EXPLORATION in decision.context.flags


async def test_a_caller_that_a_hard_budget_bars_gives_way(routers: Routers) -> None:
    router = routers(two(), limits=SpendLimits(usd_per_day=0.001, hard=True))
    decision = (await router.route("auto", RESULT, continuation=Continuation(True, "large"))).decision
    assert (decision.mode, decision.arm) == (Mode.ROUTE, "small")


async def test_a_named_arm_reads_the_result_of_another_ones_call(routers: Routers) -> None:
    decision = (await routers(two()).route("small", QUERY, continuation=Continuation(True, "large"))).decision
    assert (decision.mode, decision.arm) == (Mode.FORCED, "small")


async def test_a_result_whose_caller_nobody_knows_is_routed_without_exploration(routers: Routers) -> None:
    decision = (await routers(two()).route("auto", QUERY, continuation=Continuation(True, None))).decision
    assert (decision.mode, decision.propensity) == (Mode.ROUTE, 1.0)


async def test_a_clients_own_task_is_marked_on_its_decision_and_nobody_elses_is(routers: Routers) -> None:
    router = routers(two())
    for is_task in (True, False):
        decision = (await router.route("auto", QUERY, continuation=Continuation(is_client_task=is_task))).decision
        assert (CLIENT_TASK in decision.context.flags) is is_task


async def test_a_named_arm_is_asked_whatever_is_stored(routers: Routers) -> None:
    cached = CachedAnswer(CACHED_ARMS["cache"], StoredAnswer("Paris.", "large", NOW), 0.0)
    route = await routers(two()).route("small", QUERY, cached=cached)
    assert (route.cached, route.decision.arms) == (None, ("small",))
