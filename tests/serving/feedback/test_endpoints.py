import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all tests

CHAT, FEEDBACK = "/v1/chat/completions", "/v1/feedback"
METRICS = {
    "edit_distance": {"kind": "float", "direction": "lower", "weight": 0.5},
    "resolved": {"kind": "choice", "choices": {"yes": 1.0, "partly": 0.5, "no": 0.0}},
    "graded": {"kind": "boolean", "senders": ["grader"]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as started:
        yield started


@pytest.fixture(autouse=True)
def upstream(server: ScriptedUpstream) -> ScriptedUpstream:
    """The module's upstream, as if new."""
    server.reset()
    return server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(server: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """The module's router: each test speaks of decisions of its own."""
    arms = [arm("small", server.url), arm("large", server.url)]
    config = {"feedback": {"metrics": METRICS, "vote_url": "http://router.example/"}}
    async with running_router(arms, valkey_url, module_namespace, config=config) as started:
        yield started


async def asked(router: Router, *, headers: dict[str, str] | None = None, **more: Any) -> str:
    async with router.http.post(CHAT, json=ask(**more), headers=headers or {}) as response:
        assert response.status == 200
        return response.headers["x-highwayman-decision"]


async def said(router: Router, status: int = 200, **body: Any) -> dict[str, Any]:
    found, answer, _ = await router.post(FEEDBACK, body)
    assert found == status, answer
    return dict(answer)


async def reward(router: Router, decision_id: str, *, feedback: int = 1) -> Any:
    return (await router.decision(decision_id, feedback=feedback))["reward"]


async def test_an_answers_own_id_names_its_decision(router: Router) -> None:
    _, _answer, headers = await router.post(CHAT, ask())
    decision_id = headers["x-highwayman-decision"]
    await said(router, decision_id=f"chatcmpl-{decision_id}", value=True)
    assert (await reward(router, decision_id))["quality"] == 1.0


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"x-request-id": "r-1"}, "r-1"),
        ({"X-OpenWebUI-Message-Id": "m-7"}, "m-7"),
        (
            {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
            "0af7651916cd43dd8448eb211c80319c",
        ),
    ],
)
async def test_feedback_finds_the_decision_by_an_id_the_client_sent_along(
    headers: dict[str, str], name: str, router: Router
) -> None:
    decision_id = await asked(router, headers=headers)
    assert (await said(router, request_id=name, value=False))["decision_id"] == decision_id
    assert (await reward(router, decision_id))["quality"] == 0.0


async def test_an_id_in_the_bodys_metadata_names_the_decision_too(router: Router) -> None:
    decision_id = await asked(router, metadata={"trace_id": "t-1"})
    assert (await said(router, request_id="t-1", value=True))["decision_id"] == decision_id


async def test_feedback_on_a_conversation_spreads_over_its_decisions(router: Router) -> None:
    decisions = [await asked(router, headers={"x-conversation-id": "c"}) for _ in range(4)]
    other = await asked(router, headers={"x-conversation-id": "another"})
    filed = await said(router, conversation_id="c", value=True)
    assert set(filed["decision_ids"]) == set(decisions)
    for one in decisions:
        found = await reward(router, one)
        assert (found["quality"], found["weight"]) == (1.0, 0.25)
    assert (await router.decision(other))["feedback"] == []
    async with router.http.delete(f"{FEEDBACK}/{filed['id']}") as response:
        assert response.status == 200
    for one in decisions:
        assert await reward(router, one, feedback=2) is None


async def test_feedback_that_comes_before_its_decision_is_held_until_that_is_there(router: Router) -> None:
    filed = await said(router, request_id="early", value=True)
    assert filed["state"] == "held"
    decision_id = await asked(router, headers={"x-request-id": "early"})
    found = await router.decision(decision_id, feedback=1)
    assert (found["feedback"][0]["id"], found["reward"]["quality"]) == (filed["id"], 1.0)


async def test_the_same_idempotency_key_counts_once_and_the_first_one_stands(router: Router) -> None:
    decision_id = await asked(router)
    first = await said(router, decision_id=decision_id, value=True, idempotency_key="k")
    again = await said(router, decision_id=decision_id, value=False, idempotency_key="k")
    assert first["id"] == again["id"]
    found = await router.decision(decision_id, feedback=1)
    assert (len(found["feedback"]), found["reward"]["quality"]) == (1, 1.0)


async def test_a_thumb_is_taken_back_by_its_id_and_what_replaced_it_is_not(router: Router) -> None:
    decision_id = await asked(router)
    first = await said(router, decision_id=decision_id, value=True, user="ann")
    assert first["id"].startswith(f"{decision_id}:")
    await said(router, decision_id=decision_id, value=False, user="ann")
    async with router.http.delete(f"{FEEDBACK}/{first['id']}") as response:
        assert response.status == 200
    found = await router.decision(decision_id, feedback=2)
    assert ([one["value"] for one in found["feedback"]], found["reward"]["quality"]) == ([1.0, 0.0], 0.0)
    async with router.http.delete(f"{FEEDBACK}/{found['feedback'][1]['id']}") as response:
        assert response.status == 200
    assert await reward(router, decision_id, feedback=3) is None
    again = await said(router, decision_id=decision_id, value=True, user="ann")
    async with router.http.delete(f"{FEEDBACK}/{found['feedback'][1]['id']}") as response:  # a second time
        assert response.status == 200
    found = await router.decision(decision_id, feedback=4)
    assert (found["reward"]["quality"], found["feedback"][-1]["id"]) == (1.0, again["id"])


async def test_deleting_what_nobody_said_is_a_404(router: Router) -> None:
    async with router.http.delete(f"{FEEDBACK}/nothing") as response:
        assert response.status == 404


async def test_declared_metrics_have_directions_choices_and_senders(router: Router) -> None:
    decision_id = await asked(router)
    await said(router, decision_id=decision_id, metric="edit_distance", value=0.2)
    found = await reward(router, decision_id)
    assert (found["quality"], found["weight"]) == (pytest.approx(0.8), 0.5)
    await said(router, decision_id=decision_id, metric="resolved", value="partly")
    found = await router.decision(decision_id, feedback=2)
    assert found["reward"]["quality"] == pytest.approx((0.5 * 0.8 + 0.5) / 1.5)
    assert found["feedback"][1]["text"] == "partly"
    refused = await said(router, 422, decision_id=decision_id, metric="graded", value=True)
    assert "is said by grader only" in refused["error"]["message"]
    await said(router, decision_id=decision_id, metric="graded", value=True, source="grader")
    refused = await said(router, 422, decision_id=decision_id, metric="resolved", value="maybe")
    assert "takes one of yes, partly, no" in refused["error"]["message"]


async def test_a_decision_explains_which_statements_count_and_why_others_do_not(router: Router) -> None:
    decision_id = await asked(router)
    await said(router, decision_id=decision_id, value=False, user="ann")
    await said(router, decision_id=decision_id, value=True, user="ann", comment="on second thought")
    await said(router, decision_id=decision_id, metric="comment", value="fine")
    await said(router, decision_id=decision_id, metric="copied", value=True)
    found = await router.decision(decision_id, feedback=4)
    assert [one["standing"] for one in found["feedback"]] == ["replaced", "counts", "no_quality", "uncalibrated"]
    assert (found["feedback"][1]["text"], found["feedback"][2]["text"]) == ("on second thought", "fine")
    assert (found["reward"]["quality"], found["reward"]["weight"]) == (1.0, 1.0)


async def test_exactly_one_address_is_taken(router: Router) -> None:
    decision_id = await asked(router)
    assert "give one of" in (await said(router, 422, value=True))["error"]["message"]
    both = await said(router, 422, decision_id=decision_id, request_id="r", value=True)
    assert "got 2" in both["error"]["message"]


async def test_a_preference_names_the_arm_it_was_compared_with(router: Router) -> None:
    one, other = await asked(router, model="small"), await asked(router, model="large")
    refused = await said(router, 422, decision_id=one, metric="preference", value=1.0)
    assert "the other's decision id" in refused["error"]["message"]
    await said(router, decision_id=one, metric="preference", value=1.0, other=other)
    found = await router.decision(one, feedback=1)
    assert (found["feedback"][0]["other"], found["feedback"][0]["standing"]) == ("large", "compares")


async def test_a_link_lets_a_browser_without_a_key_vote_once(
    upstream: ScriptedUpstream, valkey_url: str, namespace: str
) -> None:
    config = {"feedback": {"vote_url": "http://router.example/"}}
    keyed = {"authorization": "Bearer secret"}
    async with running_router(
        [arm("small", upstream.url)], valkey_url, namespace, config=config, api_keys=frozenset({"secret"})
    ) as router:
        async with router.http.post(CHAT, json=ask(), headers=keyed) as response:
            link = response.headers["x-highwayman-feedback-url"]
            decision_id = response.headers["x-highwayman-decision"]
        assert link.startswith("http://router.example/v1/vote/")
        path = link.removeprefix("http://router.example")
        async with router.http.get(path) as page:
            assert page.status == 200
            assert "Was this answer good?" in await page.text()
        for value in ("down", "up"):
            async with router.http.post(path, data={"value": value}) as page:
                assert page.status == 200
        async with router.http.post(path[:-2] + "xx", data={"value": "up"}) as page:
            assert page.status == 404
        async with asyncio.timeout(5):
            found: dict[str, Any] = {"feedback": []}
            while not found["feedback"]:
                async with router.http.get(f"/v1/decisions/{decision_id}", headers=keyed) as response:
                    found = await response.json()
        assert [one["value"] for one in found["feedback"]] == [0.0]


async def test_the_routes_for_feedback_are_on_the_page_of_routes(router: Router) -> None:
    _, found = await router.get("/openapi.json")
    schema = found["paths"]["/v1/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"decision_id", "request_id", "conversation_id", "idempotency_key"} <= set(schema["properties"])
    assert "delete" in found["paths"]["/v1/feedback/{id}"]
