"""Who is drawn from, and with which penalties, by a router with a real policy, pool and encoder."""

from dataclasses import replace

import pytest

from highwayman.bandit.policies.uniform import Uniform
from highwayman.env.cost.token_fit import TokenFit
from highwayman.env.errors import NoEligibleArm
from highwayman.env.pool.cached_arms import CACHED_ARMS
from highwayman.env.pool.eligibility import Pool
from highwayman.env.types import NO_EXPLORATION, ArmState, Attempt, Mode, Query
from highwayman.feedback.fold.tallies.answer_rate import AnswerRate
from highwayman.serving.completions.answer_cache.answer_cache import CachedAnswer
from highwayman.serving.completions.answer_cache.answer_store import StoredAnswer
from highwayman.serving.completions.conversations.continuation import Continuation
from highwayman.serving.completions.requests.routing_options import RoutingOptions
from tests.feedback.worlds import outcome
from tests.serving.completions.routing.routers import DEAR, FLOOR, NOW, QUERY, Routers, taught, two
from tests.serving.running_router import arm

CHEAP_WANTED = RoutingOptions(points_per_usd=1_000.0)


async def test_arms_that_may_not_answer_are_no_part_of_the_decision(routers: Routers) -> None:
    router = routers(two(state=ArmState.DRAINING))
    assert (await router.route("auto", QUERY)).decision.arms == ("small",)
    with pytest.raises(NoEligibleArm, match="small does not read images; large is draining"):
        await router.route("auto", replace(QUERY, images=1))


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


async def test_what_a_request_takes_of_a_limit_does_not_hang_on_the_arm_that_was_drawn(routers: Routers) -> None:
    router = routers(two(), Uniform)
    uses = {}
    for _ in range(64):
        decision = (await router.route("auto", QUERY)).decision
        uses[decision.arm] = router.expected_use(decision, QUERY)
    assert uses.keys() == {"small", "large"}
    assert uses["small"] == pytest.approx(uses["large"])
    named = {name: router.expected_use((await router.route(name, QUERY)).decision, QUERY)[1] for name in uses}
    assert named["small"] < uses["small"][1] < named["large"]
