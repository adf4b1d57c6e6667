"""Decisions by a router with a real policy, pool and encoder; nothing is called, and Redis is asked nothing."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from highwayman.bandit.decision import ExplorationRules
from highwayman.bandit.exploration_cap import ExplorationCap
from highwayman.bandit.policies.fixed import Fixed
from highwayman.bandit.policies.lin_ts import LinTS
from highwayman.bandit.policies.softmax import Softmax
from highwayman.bandit.policies.uniform import Uniform
from highwayman.bandit.policy import Policy
from highwayman.bandit.probation import ProbationQuota
from highwayman.env.cost.budget import SpendLimits
from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.encoder.encoder import Encoder, make_encoder
from highwayman.env.errors import BudgetExhausted, NoEligibleArm, UnknownArm
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.types import CLIENT_TASK, NO_EXPLORATION, Arm, ArmState, Attempt, Mode, Query, RewardChange
from highwayman.feedback.fold.answer_rate import AnswerRate
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.learning.publications import Publications
from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.completions.answer_cache.answer_cache import CachedAnswer
from highwayman.serving.completions.answer_cache.answer_store import StoredAnswer
from highwayman.serving.completions.conversations.continuation import Continuation
from highwayman.serving.completions.requests.routing_options import RoutingOptions
from highwayman.serving.completions.routing.router import DIRECT, RequestOrigin, Router
from highwayman.serving.completions.routing.spend_tracker import SpendTracker
from highwayman.serving.config.config import Config
from highwayman.serving.state.live_policy import LivePolicy
from highwayman.serving.state.local_state import LocalState
from highwayman.serving.state.pool_objectives import PoolObjectives
from tests.feedback.worlds import outcome
from tests.serving.running_router import arm

NOW = 1_700_000_000.0
FLOOR = 0.02
CHEAP, DEAR = (
    0.1,
    100.0,
)  # dollars per million tokens: a call is guessed to take 256 tokens, so 2.7 cents with the prompt
QUERY = Query(text="What is the capital of France?", prompt_chars=30)
ANN = RequestOrigin("default", "ann", ("link",))
GREEDY = RoutingOptions(explore=False)
CHEAP_WANTED = RoutingOptions(points_per_usd=1_000.0)


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    encoder = make_encoder(deadline_s=30.0)
    yield encoder
    encoder.close()


class Routers:
    """Makes routers; what a test does not care for is as usual."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        self.encoder = encoder
        self.ids = DecisionIds([b"secret"], np.random.default_rng(0).bytes, lambda: NOW)
        self._folder = folder

    def __call__(
        self,
        arms: Sequence[Arm],
        policy: Callable[..., Policy] = LinTS,
        *,
        limits: SpendLimits | None = None,
        cap: ExplorationCap | None = None,
        quota: ProbationQuota | None = None,
        keep_prompts: bool = False,
    ) -> Router:
        return Router(
            pool=Pool(arms, EndpointHealth(lambda: NOW)),
            encoder=self.encoder,
            live=self._live(arms, policy),
            policy_name="test:Policy",
            objectives=PoolObjectives(Config(), arms, {}),
            rules=ExplorationRules(FLOOR, quota or ProbationQuota(), cap),
            new_id=self.ids.issue,
            clock=lambda: NOW,
            rng=np.random.default_rng(0),
            pseudonym=self.ids.pseudonym,
            spend_tracker=SpendTracker(limits or SpendLimits(), lambda: NOW),
            keep_prompts=keep_prompts,
        )

    def _live(self, arms: Sequence[Arm], policy: Callable[..., Policy]) -> LivePolicy:
        """The policy at its prior: nothing is ever published here."""
        return LivePolicy(
            Publications(connect("redis://127.0.0.1:1"), "nowhere", "none"),
            lambda: policy(d=self.encoder.d, fingerprint=self.encoder.fingerprint),
            [one.name for one in arms],
            cache=LocalState(self._folder, "nowhere", "none"),
            clock=lambda: NOW,
        )


@pytest.fixture
def routers(encoder: Encoder, tmp_path: Path) -> Routers:
    return Routers(encoder, tmp_path)


def two(**changes: Any) -> list[Arm]:
    """A cheap arm and a dear one; `changes` are the dear one's."""
    dear = arm("large", "http://127.0.0.1:9", price=DEAR)
    return [arm("small", "http://127.0.0.1:9", price=CHEAP), replace(dear, **changes)]


async def taught(
    router: Router, qualities: dict[str, float], *, tenant: str = "default", weight: float = 400.0
) -> None:
    """Teach a tenant's policy what answers to the query were worth."""
    features = (await router.encoder.encode(QUERY)).features
    router.live.policy_for(tenant).learn(
        [
            RewardChange(name, features, weight, weight * quality, weight * quality**2)
            for name, quality in qualities.items()
        ]
    )


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


async def test_arms_that_may_not_answer_are_no_part_of_the_decision(routers: Routers) -> None:
    router = routers(two(state=ArmState.DRAINING))
    assert (await router.route("auto", QUERY)).decision.arms == ("small",)
    with pytest.raises(NoEligibleArm, match="small does not read images; large is draining"):
        await router.route("auto", replace(QUERY, images=1))


async def test_what_was_drawn_from_is_on_the_decision_floor_and_all(routers: Routers) -> None:
    router = routers(two())
    await taught(router, {"small": 1.0, "large": 0.0})
    decision = (await router.route("auto", QUERY)).decision
    assert decision.probs.sum() == pytest.approx(1.0)
    assert decision.probs == pytest.approx([1 - FLOOR / 2, FLOOR / 2])
    assert decision.propensity == decision.probs[decision.action]
    assert (decision.policy, decision.policy_version, decision.mode) == ("test:Policy", 0, Mode.ROUTE)
    assert decision.at == NOW
    routers.ids.verify(decision.id)


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
    router.spend_tracker.on_outcome(replace(outcome(under_way.id, arm="large", cost_usd=0.001), at=NOW))
    await router.route("auto", QUERY)


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
        router.spend_tracker.on_outcome(outcome(decision.id, arm="small"))
    after = (await router.route("auto", QUERY)).decision  # a call to it is under way, which is expected to cost more
    assert after.probs == pytest.approx([1 - FLOOR / 2, FLOOR / 2])


async def test_nothing_of_a_probations_share_is_left_where_the_caller_forbids_exploration(routers: Routers) -> None:
    router = routers(two(state=ArmState.PROBATION), quota=ProbationQuota(0.5, None))
    await taught(router, {"small": 1.0, "large": 0.0})
    assert (await router.route("auto", QUERY, options=GREEDY)).decision.probs.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("model", ["auto", "large"])
async def test_a_person_becomes_a_pseudonym_and_a_prompt_is_kept_only_where_that_is_wanted(
    model: str, routers: Routers
) -> None:
    decision = (await routers(two()).route(model, QUERY, origin=ANN)).decision
    assert (decision.user, decision.links, decision.prompt) == (routers.ids.pseudonym("ann"), ("link",), None)
    assert "ann" not in decision.user
    kept = (await routers(two(), keep_prompts=True).route(model, QUERY)).decision
    assert (kept.user, kept.links, kept.prompt) == ("", (), QUERY.text)


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
    assert router.spend_tracker.in_flight(caller) == 1


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


async def test_an_arm_whose_tokenizer_makes_more_of_a_script_gets_only_what_fits_its_window(routers: Routers) -> None:
    router = routers(two(context_window_tokens=8_192))
    fits = router.live.tally.arm("large").fits
    fits["arabic"] = TokenFit()
    for _ in range(50):
        fits["arabic"] = fits["arabic"].plus(1_000, 3_000)
    asked = replace(QUERY, prompt_tokens=4_000)
    assert (await router.route("auto", asked)).decision.arms == ("small", "large")
    assert (await router.route("auto", replace(asked, script="arabic"))).decision.arms == ("small",)
    with pytest.raises(NoEligibleArm, match=r"window of 8192 tokens, about 1[0-2]\d{3} are needed"):
        await router.route("large", replace(asked, script="arabic"))


async def test_audio_in_an_old_message_keeps_a_text_only_arm_from_it(routers: Routers) -> None:
    router = routers(two(modalities=frozenset({"text", "audio"})))
    assert (await router.route("auto", replace(QUERY, modalities=frozenset({"audio"})))).decision.arms == ("large",)
    with pytest.raises(NoEligibleArm, match="does not read audio"):
        await router.route("small", replace(QUERY, modalities=frozenset({"audio"})))


async def test_between_turns_a_switch_costs_the_cache_it_gives_up_and_nothing_is_tried_out(routers: Routers) -> None:
    long = replace(QUERY, prompt_chars=40_000)
    holding = Continuation(holder="large", cached_share=0.95)
    for cached_usd, arm_name in ((None, "small"), (1.0, "large")):
        router = routers(two(usd_per_mtok_cached_in=cached_usd, context_window_tokens=100_000))
        router.pool = Pool(
            [replace(kept, context_window_tokens=100_000) for kept in router.pool.arms.values()], router.pool.health
        )
        await taught(router, {"small": 0.6, "large": 0.8})  # for what its call costs without a cache, too little more
        decision = (await router.route("auto", long, continuation=holding)).decision
        assert (decision.arm, decision.mode, decision.propensity) == (arm_name, Mode.ROUTE, 1.0)
        assert NO_EXPLORATION in decision.context.flags


async def test_a_switch_that_pays_happens(routers: Routers) -> None:
    router = routers(two(usd_per_mtok_cached_in=1.0))
    await taught(router, {"small": 0.95, "large": 0.2})
    holding = Continuation(holder="large", cached_share=0.95)
    assert (await router.route("auto", QUERY, continuation=holding)).decision.arm == "small"


async def test_a_clients_own_task_is_marked_on_its_decision_and_nobody_elses_is(routers: Routers) -> None:
    router = routers(two())
    for is_task in (True, False):
        decision = (await router.route("auto", QUERY, continuation=Continuation(is_client_task=is_task))).decision
        assert (CLIENT_TASK in decision.context.flags) is is_task


async def test_a_holder_that_is_gone_from_the_pool_costs_nobody_anything(routers: Routers) -> None:
    router = routers(two())
    plain = (await router.route("auto", QUERY)).decision
    decision = (await router.route("auto", QUERY, continuation=Continuation(holder="gone"))).decision
    assert decision.penalties.tolist() == plain.penalties.tolist()


async def test_an_arm_that_rests_is_out_before_the_draw_and_the_decision_says_so(routers: Routers) -> None:
    router = routers(two())
    router.pool.health.on_failure("http://127.0.0.1:9", model="large-upstream")
    decision = (await router.route("auto", QUERY)).decision
    assert (decision.arms, decision.propensity, decision.context.resting) == (("small",), 1.0, ("large",))


async def test_an_arm_that_could_not_answer_anyway_is_not_said_to_rest(routers: Routers) -> None:
    router = routers(two(context_window_tokens=8))
    router.pool.health.on_failure("http://127.0.0.1:9", model="large-upstream")
    assert (await router.route("auto", QUERY)).decision.context.resting == ()


async def test_where_all_rest_all_are_drawn_from(routers: Routers) -> None:
    router = routers(two())
    for name in ("small", "large"):
        router.pool.health.on_failure("http://127.0.0.1:9", model=f"{name}-upstream")
    decision = (await router.route("auto", QUERY)).decision
    assert (decision.arms, decision.context.resting) == (("small", "large"), ())


async def test_an_arm_that_keeps_failing_is_drawn_less_though_others_answer_for_it(routers: Routers) -> None:
    router = routers(two())
    await taught(router, {"small": 0.5, "large": 0.9})
    before = (await router.route("auto-quality", QUERY)).decision
    tried = (Attempt("large", "http://127.0.0.1:9", 0.1, "arms_fault"),)
    for _ in range(10):
        router.live.tally.on_outcome(replace(outcome("d", arm="small"), at=NOW, tried=tried))
    after = (await router.route("auto-quality", QUERY)).decision
    assert (before.probs[1], after.probs[1]) == (pytest.approx(0.99), pytest.approx(0.01))
    assert after.penalties[1] - after.penalties[0] > 0.6


async def test_dear_is_who_is_expected_to_write_much_to_this_prompt_and_not_more_than_it_may(routers: Routers) -> None:
    router = routers([replace(arm(name), usd_per_mtok_in=0.0, usd_per_mtok_out=DEAR) for name in "ab"], Uniform)
    yes, story = (Query(text=text, prompt_chars=len(text)) for text in ("Yes or no?", "Write me a long story."))
    short, long = await router.encoder.encode(yes), await router.encoder.encode(story)
    for k in range(20):
        for name, context, tokens in (("a", short, 20), ("a", long, 2_000), ("b", short, 200), ("b", long, 200)):
            made = replace((await router.route("auto", QUERY)).decision, context=context)
            router.live.tally.amounts.on_answer(made, replace(outcome(str(k), arm=name), tokens_out=tokens))
    for query, dearer in ((yes, "b"), (story, "a")):
        decision = (await router.route("auto", query, options=CHEAP_WANTED)).decision
        assert decision.arms[int(decision.penalties.argmax())] == dearer
    limited = (await router.route("auto", replace(story, max_tokens=10), options=CHEAP_WANTED)).decision
    assert limited.penalties.tolist() == pytest.approx([10 * DEAR * 1e-6 * 10.0] * 2)


async def test_a_stored_answer_is_drawn_among_the_others_and_costs_nothing_but_the_seconds_it_takes(
    routers: Routers,
) -> None:
    router = routers([replace(arm, state=ArmState.PROBATION) for arm in two()])
    cached = CachedAnswer(CACHED_ARMS["cache"], StoredAnswer("Paris.", "large", NOW), 0.0)
    router.live.policy.add_arm("cache")
    router.live.tally.arm("cache").calls, router.live.tally.arm("cache").latency_s = 2, 0.5
    router.live.tally.arm("small").answer_rate = AnswerRate().plus(NOW, failed=True)
    router.live.tally.revision += 1
    drawn = set()
    for _ in range(40):
        route = await router.route("auto", QUERY, options=RoutingOptions(points_per_usd=1.0), cached=cached)
        decision = route.decision
        assert decision.arms == ("small", "large", "cache")
        assert decision.probs.min() >= FLOOR / 3
        assert decision.penalties[2] == 0.0 < decision.penalties[0]
        assert [tried.name for tried in route.arms if tried.name == "cache"] == ["cache"] * (route.cached is not None)
        assert (route.cached is not None) == (decision.arm == "cache" == route.arms[0].name)
        drawn.add(decision.arm)
    assert drawn == {"small", "large", "cache"}


async def test_a_named_arm_is_asked_whatever_is_stored(routers: Routers) -> None:
    cached = CachedAnswer(CACHED_ARMS["cache"], StoredAnswer("Paris.", "large", NOW), 0.0)
    route = await routers(two()).route("small", QUERY, cached=cached)
    assert (route.cached, route.decision.arms) == (None, ("small",))


LIMITED = replace(QUERY, max_tokens=100)  # at most 100 * $100 / M of the dear arm's answer, and the prompt: 1 cent
TWO_CALLS = SpendLimits(usd_per_day=0.026, hard=True)


async def test_a_hard_budget_sets_aside_what_a_limited_answer_can_cost_and_gives_back_what_it_did_not(
    routers: Routers,
) -> None:
    router = routers([two()[1]], limits=TWO_CALLS)
    calls = [(await router.route("auto", LIMITED)).decision for _ in range(2)]
    with pytest.raises(BudgetExhausted):
        await router.route("auto", LIMITED)
    router.spend_tracker.on_outcome(replace(outcome(calls[0].id, arm="large", cost_usd=0.001), at=NOW))
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
    router.claims = FasterOthers(0.005)  # type: ignore[assignment]
    assert (await router.route("auto", LIMITED)).decision.arms == ("small",)
    router.claims = FasterOthers(0.0)  # type: ignore[assignment]
    for _ in range(5):
        with pytest.raises(BudgetExhausted):
            await router.route("auto", LIMITED)
    router.claims = None
    assert (await router.route("auto", LIMITED)).decision.arms == ("small", "large"), "nothing stayed set aside"
    assert router.spend_tracker.in_flight("small") + router.spend_tracker.in_flight("large") == 2
