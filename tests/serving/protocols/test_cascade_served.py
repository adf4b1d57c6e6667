"""Cascades and stored answers hold for other protocols as they do for chats."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.completions.test_cascade_served import CONFIG, UNSURE, Doubt, arms
from tests.serving.running_router import Router, running_router
from tests.upstream_server import Say, ScriptedUpstream

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
