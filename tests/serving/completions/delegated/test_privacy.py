"""Rules of privacy where somebody else makes the calls, on a started router."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, log_of, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAIL = "ann@example.org"
DONE = {"usage": {"prompt_tokens": 20, "completion_tokens": 30}, "latency_s": 0.5}
CONFIG: dict[str, Any] = {
    "privacy": {"classes": {"personal": ["home"], "secret": []}, "redact": ["personal"]},
    "retention": {"prompts": True},
    "feedback": {"judge": {"arms": ["judge"], "rate": 1.0}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say('{"score": 5}'))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(upstream: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    arms = [arm("far", upstream.url), replace(arm("own", upstream.url), zone="home"), arm("judge", upstream.url)]
    async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as started:
        yield started


async def routed(router: Router, text: str) -> dict[str, Any]:
    status, route, _ = await router.post("/v1/route", ask(text))
    assert status == 200, route
    return dict(route)


async def test_who_sends_a_request_on_as_it_is_is_told_only_arms_that_may_have_it_so(
    router: Router, valkey_url: str, module_namespace: str
) -> None:
    route = await routed(router, f"Write to {MAIL}")
    assert [each["arm"] for each in route["candidates"]] == ["own"]
    assert route["fallbacks"] == []
    _, logged = await router.get(f"/v1/decisions/{route['id']}")
    assert {"data_class:personal", "masked:far", "masked:judge"} < set(logged["context"]["flags"])
    assert MAIL not in repr(await log_of(valkey_url, module_namespace))
    status, body, _ = await router.post("/v1/route", ask(f"Write to {MAIL}", chosen_arm="far", propensity=0.5))
    assert status in (400, 403), body


async def test_a_judge_reads_no_request_that_its_zone_may_not_have_whatever_is_told_of_it_later(
    router: Router, upstream: ScriptedUpstream
) -> None:
    personal, public, hidden = [await routed(router, text) for text in (f"Write to {MAIL}", "Hello", "Hi")]
    told = (
        (personal, "Dear canary", "Write to my canary"),  # which no detector knows: the decision does
        (hidden, "Well", f"Write to {MAIL}"),  # of which the decision did not know
        (hidden, "Well", "Hi"),  # told again: the first one stands
        (public, "Well", "Hello"),
    )
    for route, answer, text in told:
        body = {"decision_id": route["id"], **DONE, "answer": answer, "messages": ask(text)["messages"]}
        assert (await router.post("/v1/outcomes", body))[0] == 200
    await router.decision(public["id"], feedback=1)  # this one is judged
    asked = repr(upstream.requests)
    assert "canary" not in asked
    assert MAIL not in asked
