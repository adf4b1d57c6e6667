"""Rules of privacy at the doors beside chat: other protocols, embeddings, decisions that somebody else carries out."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from highwayman.env.data_class import DataClass
from highwayman.env.encoder.encoder import make_encoder
from highwayman.env.pool.eligibility import Pool
from highwayman.env.pool.health import EndpointHealth
from highwayman.env.pool.pool_file import NamedModel
from highwayman.env.types import Query
from highwayman.serving.completions.privacy.cleared_encoder import ClearedEncoder
from highwayman.serving.config.privacy import PrivacyConfig
from tests.serving.completions.privacy.test_redaction_served import echoed
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAIL, KEY = "ann@example.org", "sk-proj-0123456789abcdefghij"
MESSAGES, RESPONSES, EMBEDDINGS = "/v1/messages", "/v1/responses", "/v1/embeddings"
CONFIG = {
    "privacy": {"classes": {"personal": ["home"], "secret": []}, "redact": ["personal"]},
    "feedback": {"judge": {"arms": ["judge"], "rate": 1.0}},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say(lambda body: "embedded" if "input" in body else echoed(body)))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(upstream: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    own = replace(arm("own", upstream.url), zone="home")
    arms = [arm("far", upstream.url), own, arm("judge", upstream.url)]
    named = [
        NamedModel(replace(arm("far-bge", upstream.url)), frozenset({"embeddings", "transcriptions"})),
        NamedModel(replace(arm("own-bge", upstream.url), zone="home"), frozenset({"embeddings"})),
    ]
    async with running_router(arms, valkey_url, module_namespace, config=CONFIG, named=tuple(named)) as started:
        yield started


def body_of(path: str, text: str, **more: Any) -> dict[str, Any]:
    said = {"input": text} if path == RESPONSES else {"max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return {"model": "far", **said, **more}


@pytest.mark.parametrize("path", [MESSAGES, RESPONSES])
async def test_other_protocols_are_read_redacted_and_restored_as_a_chat_is(
    router: Router, upstream: ScriptedUpstream, path: str
) -> None:
    status, answer, _ = await router.post(path, body_of(path, f"Is {KEY} valid?"))
    assert status == 403
    assert "it may not have secret data (so says: api_key): rule" in json.dumps(answer)
    before = len(upstream.requests)
    for stream in (False, True):
        async with router.http.post(path, json=body_of(path, f"Mail {MAIL}!", stream=stream)) as response:
            text = await response.text()
            assert response.status == 200, text
        assert MAIL in text
        assert "[EMAIL" not in text
    sent = json.dumps([request for request in upstream.requests[before:] if request["model"] == "far-upstream"])
    assert "Mail [EMAIL_1]!" in sent
    assert MAIL not in sent


async def test_who_calls_an_arm_itself_is_told_those_that_may_have_the_text_as_it_is(router: Router) -> None:
    status, route, _ = await router.post("/v1/route", ask(f"Mail {MAIL}!"))
    assert (status, route["arm"], route["fallbacks"]) == (200, "own", [])  # no placeholder comes back from there
    status, answer, _ = await router.post("/v1/route", ask(f"Mail {MAIL}!", chosen_arm="far"))
    assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed")
    status, answer, _ = await router.post("/v1/route", ask(f"Is {KEY} valid?"))
    assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed")


async def test_what_is_told_of_somebody_elses_call_is_read_before_a_judge_is(
    router: Router, upstream: ScriptedUpstream
) -> None:
    _, route, _ = await router.post("/v1/route", ask("What is 2 + 2?", model="own"))
    before = len(upstream.requests)
    told = {"answer": "four", "messages": ask(f"Mail {MAIL}!")["messages"], "latency_s": 1.0}
    status, answer, _ = await router.post("/v1/outcomes", {"decision_id": route["id"], **told})
    assert status == 200, answer
    async with asyncio.timeout(10):
        while True:
            async with router.http.get("/metrics") as response:
                if 'highwayman_judged_total{came_to="data_class"} 1.0' in await response.text():
                    break
            await asyncio.sleep(0.01)
    assert MAIL not in json.dumps(upstream.requests[before:])


@pytest.mark.parametrize("given", [MAIL, [MAIL, "x"], [1, 2, 3], [[1, 2], [3]]])
async def test_embeddings_are_made_where_their_text_may_go(
    router: Router, upstream: ScriptedUpstream, given: object
) -> None:
    before = len(upstream.requests)
    status, answer, _ = await router.post(EMBEDDINGS, {"model": "far-bge", "input": given})
    assert (status, answer["error"]["code"]) == (403, "data_class_not_allowed")
    assert len(upstream.requests) == before
    status, _, _ = await router.post(EMBEDDINGS, {"model": "own-bge", "input": given})
    assert status == (200 if MAIL in str(given) else 403)  # nobody reads token ids
    assert (await router.post(EMBEDDINGS, {"model": "far-bge", "input": "hello"}))[0] == 200


async def test_sound_is_secret_as_nobody_reads_it(router: Router) -> None:
    form = aiohttp.FormData()
    form.add_field("model", "far-bge")
    form.add_field("file", b"RIFF", filename="a.wav", content_type="audio/wav")
    async with router.http.post("/v1/audio/transcriptions", data=form) as response:
        assert response.status == 403, await response.text()


async def test_arms_that_are_masked_are_those_of_the_pool_as_it_is_now() -> None:
    pool = Pool([arm("a", "http://a"), arm("b", "http://b")], EndpointHealth(lambda: 0.0))
    clearance = PrivacyConfig(classes={"public": ["home"]}).rules().clearance
    encoder = ClearedEncoder(make_encoder("static"), pool, None, None, lambda cleared: None)
    query = Query(text="hello", prompt_chars=5, clearance=clearance(DataClass.PUBLIC))
    for zones, masked in (({}, {"masked:a", "masked:b"}), ({"a": "home"}, {"masked:b"})):
        pool.replace_arms([replace(each, zone=zones.get(each.name, "default")) for each in pool.arms.values()])
        flags = (await encoder.encode(query)).flags
        assert {flag for flag in flags if flag.startswith("masked:")} == masked
        assert [each.name for each in pool.arms.values() if clearance(DataClass.PUBLIC).admits(each.zone)] == list(
            zones
        )
