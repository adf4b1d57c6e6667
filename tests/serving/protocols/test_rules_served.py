"""Cascades and rules of privacy hold for other protocols as they do for chats."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.completions.test_cascade_served import CONFIG, UNSURE, Doubt, arms
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

MAIL, KEY = "ann@example.org", "sk-" + "a1B2c3D4" * 5

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    """One whose cheap arm is unsure of what it says."""
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream), valkey_url, module_namespace, config=CONFIG) as started,
    ):
        upstream.script("cheap-upstream", Doubt("Rome perhaps.", logprob=UNSURE))
        upstream.script("dear-upstream", Say("Paris it is."))
        yield started


def streamed(text: str) -> str:
    """Return what the events of a stream say piece by piece."""
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    deltas = [event.get("delta") for event in events]
    return "".join(delta if isinstance(delta, str) else (delta or {}).get("text", "") for delta in deltas)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"max_tokens": 16, "messages": [{"role": "user", "content": "What?"}]}),
        ("/v1/responses", {"input": "What?"}),
    ],
)
async def test_nothing_of_an_answer_that_is_unsure_reaches_the_client(
    path: str, body: dict[str, Any], stream: bool, router: Router
) -> None:
    async with router.http.post(path, json={"model": "auto", **body, "stream": stream}) as response:
        text = await response.text()
    assert response.headers["x-highwayman-cascade"] == "cheap, dear"
    assert "Rome" not in text
    assert (streamed(text) if stream else text).count("Paris it is.") == 1
    decision = await router.decision(response.headers["x-highwayman-decision"])
    assert decision["mode"] == "cascade"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def private(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[Router, ScriptedUpstream]]:
    """A router that sends placeholders in place of what is personal, to an arm that says what it was asked."""
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say(lambda body: f"You said: {body['messages'][-1]['content']}"))
        config = {"privacy": {"classes": {"internal": []}, "redact": ["personal"]}}
        name = f"{module_namespace}-private"
        async with running_router([arm("a", upstream.url)], valkey_url, name, config=config) as started:
            yield started, upstream


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_placeholders_go_out_and_what_they_stand_for_comes_back(
    path: str, stream: bool, private: tuple[Router, ScriptedUpstream]
) -> None:
    (router, upstream), asked = private, f"Write to {MAIL} today."
    upstream.requests.clear()
    said = {"input": asked} if path == "/v1/responses" else {"messages": [{"role": "user", "content": asked}]}
    body = {"model": "auto", "max_tokens": 16, "stream": stream, **said}
    async with router.http.post(path, json=body) as response:
        text = await response.text()
    assert f"You said: {asked}" in (streamed(text) if stream else text)
    assert MAIL not in json.dumps(upstream.requests)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
async def test_a_class_that_no_arm_may_have_is_refused_in_every_protocol(
    path: str, private: tuple[Router, ScriptedUpstream]
) -> None:
    router, upstream = private
    upstream.requests.clear()
    said = {"input": "hi", "messages": [{"role": "user", "content": "hi"}]}
    for headers, body in (
        ({"x-highwayman-data-class": "secret"}, said),
        ({}, {**said, "metadata": {"data_class": "secret"}}),
        ({}, {"input": "key: " + KEY, "messages": [{"role": "user", "content": [{"type": "text", "text": KEY}]}]}),
    ):
        async with router.http.post(path, json={"model": "auto", "max_tokens": 9, **body}, headers=headers) as response:
            told = await response.text()
            assert (response.status, KEY in told) == (403, False), told
    assert upstream.requests == []
