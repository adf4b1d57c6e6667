"""What other products send, at a running router: their own clients where there are some, their payloads elsewhere."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import openai
import pytest
import pytest_asyncio

from highwayman.serving.feedback import endpoints
from tests.feedback.integrations.letters import SECRET, letter, payload, signed
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all tests

CHAT = "/v1/chat/completions"
KEY = "operator-key"
KEYED = {"authorization": f"Bearer {KEY}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """The module's router: each test speaks of decisions of its own."""
    config = {"feedback": {"doors": {"Slack": {"signing_secret": SECRET}}}}
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm("small", upstream.url)], valkey_url, module_namespace, config=config,
                       api_keys=frozenset({KEY})) as started,
    ):  # fmt: skip
        yield started


async def asked(router: Router, **headers: str) -> str:
    async with router.http.post(CHAT, json=ask(), headers={**KEYED, **headers}) as response:
        assert response.status == 200
        return response.headers["x-highwayman-decision"]


async def posted(router: Router, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    async with router.http.post(path, json=body, headers={**KEYED, **headers}) as response:
        return response.status, await response.json()


async def statements(router: Router, decision_id: str, *, count: int) -> list[dict[str, Any]]:
    """What stands on a decision, once there are so many statements on it."""
    async with asyncio.timeout(10):
        while True:
            async with router.http.get(f"/v1/decisions/{decision_id}", headers=KEYED) as response:
                found = (await response.json()).get("feedback", [])
            if len(found) >= count:
                return list(found)
            await asyncio.sleep(0.01)


async def test_the_official_langfuse_sdk_posts_and_deletes_scores_unmodified(router: Router) -> None:
    import langfuse  # noqa: PLC0415  (slow to load: not by every worker that collects)

    trace = langfuse.Langfuse.create_trace_id(seed="an answer")
    by_trace = await asked(router, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    by_decision = await asked(router)

    def scored() -> None:
        client = langfuse.Langfuse(public_key="pk", secret_key=KEY, base_url=router.url)
        try:
            assert client.auth_check()
            client.create_score(name="user-feedback", value=1, trace_id=trace, data_type="BOOLEAN", score_id="s-1")
            client.create_score(name="quality", value=0.25, trace_id=by_decision, score_id="s-2", comment="thin")
            client.flush()
        finally:
            client.shutdown()

    await asyncio.to_thread(scored)
    first, second = await statements(router, by_trace, count=1), await statements(router, by_decision, count=1)
    assert [(one["source"], one["metric"], one["value"], one["standing"]) for one in first] == [
        ("langfuse", "thumbs", 1.0, "counts")
    ]
    assert [(one["metric"], one["value"], one["text"]) for one in second] == [("quality", 0.25, "thin")]

    def deleted() -> None:
        client = langfuse.Langfuse(public_key="pk", secret_key=KEY, base_url=router.url)
        try:
            client.api.scores.delete("s-1") if hasattr(client.api, "scores") else client.api.score.delete("s-1")
        finally:
            client.shutdown()

    await asyncio.to_thread(deleted)
    assert [one["standing"] for one in await statements(router, by_trace, count=2)] == ["replaced", "taken_back"]


async def test_a_score_sent_again_under_its_id_with_another_value_replaces_the_first(router: Router) -> None:
    decision_id = await asked(router)
    for value in (1, 0):
        body = {"id": "s", "traceId": decision_id, "name": "user-feedback", "value": value, "dataType": "BOOLEAN"}
        assert (await posted(router, "/api/public/scores", body))[0] == 200
    found = await statements(router, decision_id, count=2)
    assert [(one["value"], one["standing"]) for one in found] == [(1.0, "replaced"), (0.0, "counts")]


async def test_a_score_of_a_metric_that_is_not_declared_is_answered_and_not_filed(router: Router) -> None:
    decision_id = await asked(router)
    for name in ("toxicity", "user-feedback"):
        body = {"id": name, "traceId": decision_id, "name": name, "value": 1, "dataType": "NUMERIC"}
        assert (await posted(router, "/api/public/scores", body))[0] == 200
    assert [one["metric"] for one in await statements(router, decision_id, count=1)] == ["thumbs"]


async def test_librechats_score_finds_the_answer_by_its_trace(router: Router) -> None:
    body = payload("librechat_score")
    decision_id = await asked(router, **{"x-request-id": body["traceId"]})
    status, answer = await posted(router, "/api/public/scores", body)
    assert status == 200, answer
    assert [one["metric"] for one in await statements(router, decision_id, count=1)] == ["thumbs"]


async def test_openais_client_says_feedback_as_a_completions_metadata(router: Router) -> None:
    decision_id = await asked(router)
    client = openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key=KEY)
    await client.chat.completions.update(f"chatcmpl-{decision_id}", metadata={"feedback": "down"})
    assert [(one["metric"], one["value"]) for one in await statements(router, decision_id, count=1)] == [
        ("thumbs", 0.0)
    ]


async def test_open_webuis_rating_finds_the_answer_by_the_forwarded_message_id(router: Router) -> None:
    body = payload("open_webui_feedback")
    decision_id = await asked(router, **{"x-openwebui-message-id": body["meta"]["message_id"]})
    status, answer = await posted(router, "/api/v1/evaluations/feedback", body)
    assert status == 200, answer
    assert {one["metric"] for one in await statements(router, decision_id, count=1)} >= {"thumbs"}


async def test_an_import_of_too_many_statements_is_refused_whole_and_says_how_many_are_taken(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST_STATEMENTS", 3)
    path, body = "/api/v1/evaluations/feedbacks/import", payload("open_webui_feedback")
    decision_id = await asked(router, **{"x-openwebui-message-id": "m-import"})
    entries = [
        {**body, "id": f"f-{number}", "user_id": f"u-{number}", "meta": {"message_id": "m-import"}}
        for number in range(4)
    ]
    status, answer = await posted(router, path, entries)
    assert (status, answer["error"]["code"]) == (413, "request_too_large")
    assert "has 4 statements; at most 3" in answer["error"]["message"]
    assert (await posted(router, path, entries[:3]))[0] == 200
    thumbs = [each for each in await statements(router, decision_id, count=3) if each["metric"] == "thumbs"]
    assert len(thumbs) == 3


async def test_tensorzeros_feedback_speaks_of_an_inference(router: Router) -> None:
    decision_id = await asked(router)
    body = {"inference_id": decision_id, "metric_name": "thumbs", "value": True}
    status, answer = await posted(router, "/feedback", body)
    assert (status, set(answer)) == (200, {"feedback_id"})
    assert [one["source"] for one in await statements(router, decision_id, count=1)] == ["tensorzero"]


async def test_difys_rating_speaks_of_a_message(router: Router) -> None:
    decision_id = await asked(router, **{"x-message-id": "m-1"})
    status, answer = await posted(router, "/v1/messages/m-1/feedbacks", payload("dify_feedback"))
    assert (status, answer) == (200, {"result": "success"})
    assert [one["source"] for one in await statements(router, decision_id, count=1)] == ["dify"]


async def test_slacks_reaction_needs_no_key_but_slacks_signature(router: Router) -> None:
    event = payload("slack_reaction_added")
    item = event["event"]["item"]
    decision_id = await asked(router, **{"x-request-id": f"slack:{item['channel']}:{item['ts']}"})
    sent = signed(replace(letter("POST /slack/events", event), at=time.time()), at=time.time())
    async with router.http.post("/slack/events", data=sent.raw, headers=sent.headers) as response:
        assert response.status == 200
    assert [one["source"] for one in await statements(router, decision_id, count=1)] == ["slack"]
    forged = {**sent.headers, "x-slack-signature": "v0=" + "0" * 64}
    async with router.http.post("/slack/events", data=sent.raw, headers=forged) as response:
        assert response.status == 401


async def test_no_door_but_a_signed_one_opens_without_a_key(router: Router) -> None:
    async with router.http.post("/api/public/scores", data=json.dumps({"traceId": "t"})) as response:
        assert response.status == 401


async def test_a_langfuse_score_on_an_observation_is_that_generations_and_one_on_the_trace_everybodys(
    router: Router,
) -> None:
    trace, spans = "0af7651916cd43dd8448eb211c80319c", ("b7ad6b7169203331", "c7ad6b7169203332")
    first, second = [await asked(router, traceparent=f"00-{trace}-{span}-01") for span in spans]
    score = {"traceId": trace, "name": "quality", "value": 0.5}
    assert (await posted(router, "/api/public/scores", {**score, "observationId": spans[1]}))[0] == 200
    assert [said["weight"] for said in await statements(router, second, count=1)] == [1.0]
    assert await statements(router, first, count=0) == []
    assert (await posted(router, "/api/public/scores", {**score, "value": 1.0}))[0] == 200
    assert [said["weight"] for said in await statements(router, first, count=1)] == [0.5]
