"""Decisions whose calls somebody else makes, on a started router: decided, completed once, learned from."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from highwayman.env.types import Outcome, Status
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyStore
from tests.serving.running_router import Router, arm, ask, log_of, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTE, OUTCOMES = "/v1/route", "/v1/outcomes"
USAGE = {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50}
DONE = {"status": "ok", "usage": USAGE, "latency_s": 0.5}
CONFIG: dict[str, Any] = {"limits": {"outcome_s": 1}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say("well"))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(upstream: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    arms = [arm("small", upstream.url), arm("large", upstream.url, price=5.0)]
    async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as started:
        yield started


async def routed(router: Router, **more: Any) -> dict[str, Any]:
    status, body, headers = await router.post(ROUTE, ask(**more))
    assert status == 200, body
    assert headers["x-highwayman-decision"] == body["id"]
    return dict(body)


async def told(router: Router, decision_id: str, **more: Any) -> tuple[int, dict[str, Any]]:
    status, body, _ = await router.post(OUTCOMES, {"decision_id": decision_id, **more})
    return status, body


async def test_a_route_says_whom_to_call_why_and_how_it_is_completed_and_calls_nobody(
    router: Router, upstream: ScriptedUpstream
) -> None:
    calls = len(upstream.requests)
    route = await routed(router)
    candidates = {each["arm"]: each for each in route["candidates"]}
    assert set(candidates) == {"small", "large"}
    assert sum(each["probability"] for each in candidates.values()) == pytest.approx(1.0)
    chosen = candidates[route["arm"]]
    assert route["propensity"] == chosen["probability"]
    assert (route["model"], route["endpoints"]) == (f"{route['arm']}-upstream", [upstream.url])
    assert all(0.0 <= each["expected_quality"] <= 1.0 for each in candidates.values())
    assert 0.0 < candidates["small"]["expected_usd"] < candidates["large"]["expected_usd"]
    assert route["fallbacks"] == [name for name in candidates if name != route["arm"]]
    assert route["complete_with"]["path"] == OUTCOMES
    assert route["complete_with"]["decision_id"] == route["id"]
    _, logged = await router.get(f"/v1/decisions/{route['id']}")
    assert (logged["arm"], logged["mode"], logged["context"]["flags"]) == (route["arm"], "route", ["delegated"])
    assert len(upstream.requests) == calls


async def test_an_outcome_and_feedback_count_as_those_of_a_call_of_the_routers_own(router: Router) -> None:
    route = await routed(router)
    name = route["arm"]
    _, before = await router.get("/v1/policy")
    status, body = await told(router, route["id"], **DONE, ttft_s=0.1, finish_reason="stop")
    price = {"small": 1.0, "large": 5.0}[name]
    assert (status, body["state"], body["arm"]) == (200, "logged", name)
    assert body["cost_usd"] == pytest.approx(50 * price / 1e6)
    assert (await router.post("/v1/feedback", {"decision_id": route["id"], "value": True}))[0] == 200
    view = await router.decision(route["id"], feedback=1)
    assert (view["outcome"]["status"], view["outcome"]["tokens_out"], view["reward"]["arm"]) == ("ok", 30, name)
    then = before["arms"][name]
    after = await router.policy_until(name, feedback=then["feedback"] + 1, attempts=then["attempts"] + 1)
    assert after["arms"][name]["cost_usd"] == pytest.approx(then["cost_usd"] + 50 * price / 1e6)


async def test_an_outcome_counts_once_and_the_first_one_stands(
    router: Router, valkey_url: str, module_namespace: str
) -> None:
    route = await routed(router)
    results = await asyncio.gather(*(told(router, route["id"], **DONE) for _ in range(5)))
    assert sorted(body["state"] for _, body in results) == ["known"] * 4 + ["logged"]
    status, body = await told(router, f"chatcmpl-{route['id']}", status="failed")
    assert (status, body["state"], body["status"], body["tokens_out"]) == (200, "known", "ok", 30)
    events = [event for event in await log_of(valkey_url, module_namespace) if isinstance(event, Outcome)]
    mine = [event for event in events if event.decision_id == route["id"] and event.status is not Status.LOST]
    assert len(mine) == 1


async def test_who_answered_instead_is_credited_and_who_failed_is_counted(router: Router) -> None:
    route = await routed(router)
    first, other = route["arm"], route["fallbacks"][0]
    _, before = await router.get("/v1/policy")
    assert (await told(router, route["id"], **DONE, arm=other, failed_arms=[first]))[1]["arm"] == other
    await router.post("/v1/feedback", {"decision_id": route["id"], "value": True})
    view = await router.decision(route["id"], feedback=1)
    assert view["reward"]["arm"] == other
    await router.policy_until(first, failures=before["arms"][first]["failures"] + 1)


async def test_a_decision_never_completed_teaches_nothing_and_a_late_outcome_still_counts(router: Router) -> None:
    _, before = await router.get("/v1/policy")
    route = await routed(router)
    lost = await router.decision(route["id"])  # once it was given up, as configured here after a second
    assert lost["outcome"]["status"] == "lost"
    _, after = await router.get("/v1/policy")
    for name in ("small", "large"):
        for number in ("attempts", "failures", "cost_usd", "feedback", "quality"):
            assert after["arms"][name][number] == before["arms"][name][number], (name, number)
    assert (await told(router, route["id"], **DONE))[1]["state"] == "logged"
    assert (await router.decision(route["id"]))["outcome"]["status"] == "ok"


async def test_what_cannot_be_completed_is_told_why(router: Router) -> None:
    for decision_id in ("hw-forged", "hw-aw1GlUmRuuVTdmllz1cEUhm0r7bR"):
        status, body = await told(router, decision_id, **DONE)
        assert (status, body["error"]["code"]) == (404, "decision_not_found")
    _, _, headers = await router.post("/v1/chat/completions", ask())
    await router.decision(headers["x-highwayman-decision"])
    status, body = await told(router, headers["x-highwayman-decision"], **DONE)
    assert (status, body["error"]["param"]) == (409, "decision_id")
    assert "the router makes this call itself" in body["error"]["message"]
    route = await routed(router)
    for more, param in (
        ({"latency_s": 1.0}, "usage"),
        ({"usage": USAGE}, "latency_s"),
        ({**DONE, "ttft_s": 0.6}, "ttft_s"),
        ({**DONE, "statos": "ok"}, "statos"),
        ({**DONE, "status": "splendid"}, "status"),
        ({**DONE, "answer": "x", "messages": [{}]}, "messages.0.role"),
    ):
        status, body = await told(router, route["id"], **more)
        assert (status, body["error"]["param"]) == (400, param), body
    status, body = await told(router, route["id"], **DONE, arm="huge")
    assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert (await told(router, route["id"], status="timeout"))[1]["state"] == "logged"  # nothing of it was filed before


async def test_tokens_that_nobody_counted_are_counted_in_the_answers_text(router: Router) -> None:
    route = await routed(router)
    _, body = await told(router, route["id"], latency_s=1.0, answer="Paris is the capital of France.")
    assert body["estimated"]
    assert 4 <= body["tokens_out"] <= 12


async def test_a_key_completes_what_its_tenant_asked_for_and_only_with_the_scope_for_answers(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    client = connect(valkey_url)
    keys = KeyStore(client, namespace, Store(client, namespace))
    _, mine = await keys.add(KeyGrant("app", "one"), at=1.0)
    _, theirs = await keys.add(KeyGrant("app", "two"), at=2.0)
    _, rater = await keys.add(KeyGrant("rater", "one", ("feedback",)), at=3.0)
    await client.aclose()

    async def post(path: str, body: Any, key: str) -> tuple[int, Any]:
        async with router.http.post(path, json=body, headers={"authorization": f"Bearer {key}"}) as response:
            return response.status, await response.json()

    async with running_router([arm("small", upstream.url)], valkey_url, namespace) as router:
        assert (await post(ROUTE, ask(), rater))[0] == 403
        assert (await router.post(ROUTE, ask()))[0] == 401
        _, route = await post(ROUTE, ask(), mine)
        outcome = {"decision_id": route["id"], **DONE}
        assert (await post(OUTCOMES, outcome, rater))[0] == 403
        assert (await post(OUTCOMES, outcome, theirs))[0] == 404
        assert (await post(OUTCOMES, outcome, mine))[0] == 200


async def test_a_budget_is_charged_for_what_was_told_and_holds_nothing_back_for_what_was_not(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"budget": {"usd_per_day": 1e-3, "hard": True}}
    async with running_router([arm("small", upstream.url)], valkey_url, namespace, config=config) as router:
        for _ in range(20):  # each is expected to cost more than a twentieth of the day
            route = await routed(router)
        assert (await told(router, route["id"], **DONE, cost_usd=1e-3))[0] == 200
        status, body, _ = await router.post(ROUTE, ask())
        assert (status, body["error"]["code"]) == (429, "budget_exhausted")


async def test_an_answer_told_with_its_messages_is_judged_and_kept_nowhere(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    upstream.script("judge-upstream", Say('{"score": 5}', tokens_in=200, tokens_out=1))
    config = {"feedback": {"judge": {"arms": ["judge"], "rate": 0.0, "rates": {"small": 1.0}}}}
    arms = [arm("small", upstream.url), arm("judge", upstream.url)]
    async with running_router(arms, valkey_url, namespace, config=config) as router:
        _, route, _ = await router.post(ROUTE, ask(chosen_arm="small"))
        seen = {"answer": "four canaries", "messages": ask("What is 2 + 2?")["messages"]}
        assert (await told(router, route["id"], **DONE, **seen))[0] == 200
        judged = await router.decision(route["id"], feedback=1)
    said = judged["feedback"][0]
    assert (said["source"], said["value"]) == ("judge", 1.0)
    assert "canaries" not in repr(await log_of(valkey_url, namespace))


async def test_what_another_router_chose_is_drawn_as_it_was_there_or_named_where_nobody_knows(router: Router) -> None:
    everything = await routed(router, chosen_arm="large", probabilities={"small": 0.75, "large": 0.25})
    assert (everything["arm"], everything["propensity"], everything["policy"]) == ("large", 0.25, "told")
    assert [each["probability"] for each in everything["candidates"]] == [0.75, 0.25]
    drawn = await routed(router, chosen_arm="small", propensity=0.9)
    named = await routed(router, chosen_arm="large")
    assert (named["arm"], named["mode"], named["propensity"]) == ("large", "forced", 1.0)
    for route, mode, flags in (
        (everything, "route", ["delegated"]),
        (drawn, "route", ["delegated", "only_drawn"]),
        (named, "forced", ["delegated"]),
    ):
        _, logged = await router.get(f"/v1/decisions/{route['id']}")
        assert (logged["policy"], logged["mode"], logged["context"]["flags"]) == ("told", mode, flags)
        assert (await told(router, route["id"], **DONE))[1]["arm"] == route["arm"]


async def test_a_choice_that_cannot_have_been_drawn_so_is_refused_by_name(router: Router) -> None:
    for more, param in (
        ({"propensity": 0.5}, "propensity"),
        ({"chosen_arm": "small", "propensity": 0.0}, "propensity"),
        ({"chosen_arm": "small", "probabilities": {"small": 0.5}}, "probabilities"),
        ({"chosen_arm": "small", "probabilities": {"large": 1.0}}, "probabilities"),
        ({"chosen_arm": "small", "propensity": 0.5, "probabilities": {"small": 1.0}}, "propensity"),
    ):
        status, body, _ = await router.post(ROUTE, ask(**more))
        assert (status, body["error"]["param"]) == (400, param), body
    status, body, _ = await router.post(ROUTE, ask(chosen_arm="huge"))
    assert (status, body["error"]["code"]) == (404, "model_not_found")
