"""Second answers that nobody sees, on running routers. `small` is served; `large` and `judge` are beside it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from highwayman.env.errors import ConfigError
from highwayman.env.types import Arm, Decision, Feedback, Mode, Outcome, Profile, Status
from highwayman.serving.completions.unseen_answer import has_side_effects, most_usage
from highwayman.serving.config.config import Config
from highwayman.serving.services import build_services
from highwayman.serving.wiring.settings import Settings
from tests.serving.running_router import Router, arm, ask, log_of, running_router
from tests.upstream_server import Hang, Say, ScriptedUpstream

CHAT = "/v1/chat/completions"
TO_SMALL: dict[str, Any] = {"policy": {"name": "Fixed", "options": {"arm": "small"}, "floor": 0.0}}
TITLE = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history."


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script("small-upstream", Say("five", tokens_in=9, tokens_out=1))
        server.script("large-upstream", Say("four", tokens_in=9, tokens_out=2))
        yield server


def pool(upstream: ScriptedUpstream, *names: str) -> list[Arm]:
    return [replace(arm(name, upstream.url), tools=True) for name in names]


def config(**shadow: Any) -> dict[str, Any]:
    return {**TO_SMALL, "shadow": {"rate": 1.0, "arms": ["large"], **shadow}}


async def came_to(router: Router, result: str, *, times: int = 1) -> None:
    """Return once so many requests came to that."""
    async with asyncio.timeout(10):
        while True:
            async with router.http.get("/metrics") as response:
                if f'highwayman_shadowed_total{{came_to="{result}"}} {times}.0' in await response.text():
                    return
            await asyncio.sleep(0.01)


def shadows_in(events: list[Any]) -> list[Decision]:
    return [event for event in events if isinstance(event, Decision) and event.mode is Mode.SHADOW]


async def test_another_arm_answers_unseen_and_its_call_is_on_the_log_under_a_decision_that_names_the_first(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    async with running_router(pool(upstream, "small", "large"), valkey_url, namespace, config=config()) as router:
        _, answer, headers = await router.post(CHAT, ask(stream=False, user="ann", max_completion_tokens=2000))
        assert answer["choices"][0]["message"]["content"] == "five"
        await came_to(router, "answered")
        first = headers["x-highwayman-decision"]
        (shadow,) = shadows_in(await log_of(valkey_url, namespace))
        told = await router.decision(shadow.id)
    assert (told["mode"], told["arm"], told["shadow_of"], told["propensity"]) == ("shadow", "large", first, 1.0)
    assert told["outcome"]["cost_usd"] == pytest.approx(11e-6)
    (given,) = [e for e in await log_of(valkey_url, namespace) if isinstance(e, Decision) and e.id == first]
    assert shadow.user == given.user != "", "who is to be forgotten is, here too"
    (sent,) = [sent for sent in upstream.requests if sent["model"] == "large-upstream"]
    assert (sent["max_completion_tokens"], sent["n"], sent.get("stream")) == (1024, 1, None)


async def test_a_shadow_answer_is_compared_with_the_one_that_was_given(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    upstream.script("judge-upstream", Say("B"), Say("A"))
    judged = {**config(judged="preference"), "feedback": {"judge": {"arms": ["judge"], "rate": 0.0}}}
    async with running_router(
        pool(upstream, "small", "large", "judge"), valkey_url, namespace, config=judged
    ) as router:
        _, _, headers = await router.post(CHAT, ask())
        found = await router.decision(headers["x-highwayman-decision"], feedback=1)
    assert (found["feedback"][0]["metric"], found["feedback"][0]["other"]) == ("judge_preference", "large")


async def test_a_score_of_a_shadow_answer_teaches_of_an_arm_that_nobody_is_sent_to(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    upstream.script("judge-upstream", Say('{"score": 1}', tokens_in=20, tokens_out=1))
    judged = {**config(judged="score"), "feedback": {"judge": {"arms": ["judge"], "rate": 0.0}}}
    async with running_router(
        pool(upstream, "small", "large", "judge"), valkey_url, namespace, config=judged
    ) as router:
        await router.post(CHAT, ask())
        told = await router.policy_until("large", feedback=1)
    assert told["arms"]["large"]["quality"] == 0.0
    events = await log_of(valkey_url, namespace)
    assert [e.decision_id for e in events if isinstance(e, Feedback)] == [e.id for e in shadows_in(events)]


async def test_nobody_waits_for_a_shadow_answer_neither_client_nor_a_router_that_ends(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    upstream.script("large-upstream", Hang())
    async with asyncio.timeout(20):
        async with running_router(
            pool(upstream, "small", "large"), valkey_url, namespace, config=config(at_once=1)
        ) as router:
            assert (await router.post(CHAT, ask()))[0] == 200
            await upstream.asked(2)  # the second is large's
            assert (await router.post(CHAT, ask()))[0] == 200
            await came_to(router, "busy")
    events = await log_of(valkey_url, namespace)
    (shadow,) = shadows_in(events)
    (cut,) = [event for event in events if isinstance(event, Outcome) and event.decision_id == shadow.id]
    assert cut.status is Status.CUT


async def test_a_days_dollars_hold_for_what_a_call_can_cost_at_most(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    """At $1 a million tokens a call of 100 tokens, and a prompt of fewer than 400 bytes, costs $0.0005 at most."""
    wanted = config(usd_per_day=0.0006, max_tokens=100)
    async with running_router(pool(upstream, "small", "large"), valkey_url, namespace, config=wanted) as router:
        for n in range(1, 7):  # each cost $0.000011, and gave the rest back
            await router.post(CHAT, ask())
            await came_to(router, "answered", times=n)
    async with running_router(
        pool(upstream, "small", "large"), valkey_url, namespace, config=config(usd_per_day=0.0001, max_tokens=100)
    ) as router:
        await router.post(CHAT, ask())
        await came_to(router, "no_dollars_left")
    assert len(shadows_in(await log_of(valkey_url, namespace))) == 6


@pytest.mark.parametrize(
    ("wanted", "asked", "headers"),
    [
        ({"never_tenants": ["default"]}, {}, {}),
        ({"never": {"zone": ["eu"]}}, {}, {"x-zone": "eu"}),
        ({}, {"tools": [{"type": "web_search"}]}, {}),
        ({}, {"model": "small"}, {}),
        ({}, {"messages": [{"role": "user", "content": TITLE}]}, {}),
    ],
    ids=["tenant", "tag", "hosted tool", "named arm", "client's own task"],
)
async def test_where_it_must_not_no_other_arm_sees_a_request(
    wanted: dict[str, Any],
    asked: dict[str, Any],
    headers: dict[str, str],
    upstream: ScriptedUpstream,
    valkey_url: str,
    namespace: str,
) -> None:
    tags = {"context": {"zone": {"from": "header:x-zone", "levels": ["us", "eu"]}}}
    raw = {**config(**wanted), **tags}
    async with running_router(pool(upstream, "small", "large"), valkey_url, namespace, config=raw) as router:
        async with router.http.post(CHAT, json={**ask(), **asked}, headers=headers) as response:
            await response.read()
        await router.decision(response.headers["x-highwayman-decision"])
        if "never_tenants" not in wanted:
            await router.post(CHAT, ask())  # a request that may be shadowed: those before it have been looked at, too
            await came_to(router, "answered")
    shadows = shadows_in(await log_of(valkey_url, namespace))
    assert len(shadows) == ("never_tenants" not in wanted)
    assert all(shadow.context.shadow_of != response.headers["x-highwayman-decision"] for shadow in shadows)


def test_a_function_that_is_offered_has_no_side_effects_and_a_servers_own_tool_may() -> None:
    function = {"type": "function", "function": {"name": "add"}}
    assert not has_side_effects({"tools": [function]})
    assert has_side_effects({"tools": [function, {"type": "mcp", "server_url": "http://x"}]})
    assert has_side_effects({"web_search_options": {}})
    assert not has_side_effects({})


def test_a_call_takes_no_more_tokens_than_bytes_and_limits_allow_for_every_sample() -> None:
    asked = ask("x" * 100)
    most = most_usage(asked, arm("large"), max_tokens=10)
    assert 100 < most.tokens_in < 400
    assert most.tokens_out == 10
    twice = most_usage(asked, arm("large", profile=Profile(best_of=2)), max_tokens=10)
    assert (twice.tokens_in, twice.tokens_out) == (2 * most.tokens_in, 20)
    pictured = {**asked, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}
    assert most_usage(pictured, arm("large"), max_tokens=10).tokens_in == 4096


@pytest.mark.parametrize(
    ("shadow", "said"),
    [
        ({"rate": 1.0, "arms": ["larg"]}, "shadow.arms: there is no arm 'larg' in the pool"),
        ({"rate": 1.0, "judged": "score"}, "shadow.judged: score takes a judge"),
        ({"rate": 1.0, "never": {"zone": ["eu"]}}, "shadow.never.zone: 'eu' is no level"),
    ],
)
async def test_a_configuration_that_cannot_be_is_told_at_the_start(
    shadow: dict[str, Any], said: str, valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    raw = {"namespace": namespace, "shadow": shadow}
    settings = Settings((arm("large", "http://127.0.0.1:9"),), valkey_url, Config.model_validate(raw), state=tmp_path)
    with pytest.raises(ConfigError, match=said):
        async with build_services(settings):
            pass
