"""Cascades over HTTP where something goes wrong: what is charged, and what a server's refusal comes to."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from tests.serving.completions.test_cascade_served import CHAT, CONFIG, MARGIN, UNSURE, Doubt, NoLogprobs, Served, arms
from tests.serving.running_router import ask, running_router
from tests.upstream_server import BreakOff, Fail, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def anew(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> AsyncIterator[Served]:
    """A router that has seen no server fail."""
    async with running_router(arms(upstream), valkey_url, namespace, config=CONFIG) as router:
        yield Served(router, upstream, valkey_url)


async def test_an_answer_that_breaks_off_while_it_is_held_and_has_no_successor_is_paid_once(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {**CONFIG, "policy": {"name": "Uniform", "floor": 0.0}}  # which the dear arm is drawn by, at last
    async with running_router(arms(upstream), valkey_url, namespace, config=config) as router:
        served = Served(router, upstream, valkey_url)
        served.script(BreakOff(Say("one two three four")), Fail(500))
        async with router.http.post(CHAT, json=ask(stream=True)) as response:
            assert response.status == 502
        decision = await router.decision(response.headers["x-highwayman-decision"])
    outcome = decision["outcome"]
    assert [(attempt["arm"], attempt["ending"]) for attempt in outcome["tried"]][-1] == ("cheap", "broke_off")
    assert decision["arm"] == "dear"  # so cheap is asked last
    assert outcome["cost_usd"] == pytest.approx(outcome["tokens_in"] * 1e-6 + outcome["tokens_out"] * 1e-6)


async def test_a_first_arm_that_is_given_up_costs_its_prompt(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {**CONFIG, "limits": {"first_byte_s": 0.2}}
    async with running_router(arms(upstream), valkey_url, namespace, config=config) as router:
        served = Served(router, upstream, valkey_url)
        served.script(Say("Never.", before=asyncio.Event()), Say("From dear."))
        text, decision, _ = await served.ask()
    outcome = decision["outcome"]
    assert (text, [attempt["ending"] for attempt in outcome["tried"]]) == ("From dear.", ["arms_fault", "answered"])
    dear_usd = (outcome["tokens_in"] + outcome["tokens_out"]) * 10e-6
    assert outcome["cost_usd"] == pytest.approx(dear_usd + 6 * 1e-6)  # "What?" is taken for six tokens


@pytest.mark.parametrize("stream", [False, True])
async def test_after_a_break_a_server_that_refuses_log_probabilities_is_asked_without_them(
    anew: Served, stream: bool
) -> None:
    anew.script(BreakOff(Say("One two three.")), NoLogprobs("From dear."))
    text, _, _ = await anew.ask(stream=stream)
    assert text == "From dear."


async def test_a_middle_stage_whose_server_refuses_log_probabilities_answers_without_them(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {**CONFIG, "cascade": {**MARGIN, "max_stages": 3}}
    async with running_router(arms(upstream, middle=5.0), valkey_url, namespace, config=config) as router:
        served = Served(router, upstream, valkey_url)
        served.script(Doubt("Rome?", logprob=UNSURE))
        upstream.script("middle-upstream", NoLogprobs("Paris."))
        text, _, _ = await served.ask()
    assert text == "Paris."


async def test_a_refusal_of_log_probabilities_goes_away_where_the_caller_wrote_that_it_wants_none(
    anew: Served,
) -> None:
    anew.script(NoLogprobs("Paris."))
    text, _, _ = await anew.ask(logprobs=False, top_logprobs=None)
    assert text == "Paris."


@pytest.mark.parametrize("stream", [False, True])
async def test_the_answer_that_a_cascade_served_is_stored_and_none_that_it_rejected(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str, stream: bool
) -> None:
    config = {**CONFIG, "policy": {"name": "Cheapest", "floor": 0.0}, "answer_cache": {}, "limits": {"redis_s": 5.0}}
    async with running_router(arms(upstream), valkey_url, namespace, config=config) as router:
        served = Served(router, upstream, valkey_url)
        served.script(Doubt("Rome?", logprob=UNSURE), Doubt("Paris."))
        text, first, _ = await served.ask("The capital?", stream=stream)
        client = connect(valkey_url)
        async with asyncio.timeout(10):
            while not await client.xlen(Keys(namespace)("answers")):
                await asyncio.sleep(0.002)
        await client.aclose()
        again, decision, headers = await served.ask("The capital?", stream=not stream)
    assert (text, again, headers["x-highwayman-arm"]) == ("Paris.", "Paris.", "cache")
    assert (first["mode"], decision["mode"], served.asked()) == ("cascade", "route", ["cheap", "dear"])
    assert "stored_by:dear" in decision["context"]["flags"]
    assert (decision["outcome"]["cost_usd"], decision["outcome"].get("stages")) == (0.0, None)


async def test_what_the_control_slice_draws_is_the_baselines_answer_alone_and_savings_tell_the_cascade_from_it(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {**CONFIG, "control": {"share": 0.5, "baseline": "cheap"}}
    async with running_router(arms(upstream), valkey_url, namespace, config=config) as router:
        served = Served(router, upstream, valkey_url)
        served.script(Doubt("Rome?", logprob=UNSURE), Doubt("Paris."))
        for number in range(12):
            text, decision, headers = await served.ask(f"Which {number}?")
            is_control = "control" in decision["context"]["flags"]
            assert (text, decision["mode"]) == ("Rome?" if is_control else "Paris.", "cascade")
            assert ("x-highwayman-cascade" in headers, "stages" in decision["outcome"]) == (not is_control,) * 2
        async with asyncio.timeout(5):
            while (told := (await router.get("/v1/savings"))[1])["requests"] < 12:
                await asyncio.sleep(0.02)
    assert (told["baseline_usd"], told["router_usd"]) == pytest.approx((12e-6, 132e-6))


async def test_a_hard_days_budget_counts_the_next_arm_of_a_cascade_while_it_is_asked(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {
        **CONFIG,
        "budget": {"usd_per_day": 0.004, "hard": True},
    }  # for one call of the dear arm, expected at .0026
    async with running_router(arms(upstream), valkey_url, namespace, config=config) as router:
        served, say = Served(router, upstream, valkey_url), Say("Paris.", before=asyncio.Event())
        served.script(Doubt("Rome?", logprob=UNSURE), say)
        first = asyncio.create_task(served.ask("One?"))
        await upstream.asked(2)
        assert served.asked() == ["cheap", "dear"]
        second, _, _ = await served.ask("Two?")
        say.before.set()  # type: ignore[union-attr]
        assert (second, (await first)[0]) == ("Rome?", "Paris.")


async def test_nobody_is_asked_about_an_answer_who_is_dearer_than_the_caller_allows(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    gate = {"gate": {"signal": "verified", "threshold": 0.5}, "signals": [{"Verification": {"arm": "dear"}}]}
    async with running_router(arms(upstream), valkey_url, namespace, config={**CONFIG, "cascade": gate}) as router:
        served = Served(router, upstream, valkey_url)
        served.script(Say("Paris."), Say("Yes."))
        _, decision, _ = await served.ask("Dear?", headers={"x-highwayman-max-usd": "0.0005"})
        assert (served.asked(), decision["outcome"]["cost_usd"]) == (["cheap"], pytest.approx(12e-6))
        _, decision, _ = await served.ask("Dear?", headers={"x-highwayman-max-usd": "0.05"})
        assert decision["outcome"]["stages"][0]["signals"]["verified"] == 1.0
