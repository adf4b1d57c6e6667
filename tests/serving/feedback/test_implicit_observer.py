"""Signals that nobody says, on a running router: each about the answer it speaks of, and worth nothing by itself."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream, Stall

CHAT = "/v1/chat/completions"
ASKED = {"role": "user", "content": "What is the tallest mountain on Earth?"}
SIGNALS = ["regenerated", "rephrased", "abandoned", "tool_failure"]


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say("K2."))
        yield server


@pytest.fixture
async def router(upstream: ScriptedUpstream, valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    config = {"feedback": {"implicit": SIGNALS}}
    async with running_router([arm("small", upstream.url)], valkey_url, namespace, config=config) as started:
        yield started


async def asked(router: Router, *messages: dict[str, Any], **more: Any) -> str:
    status, answer, headers = await router.post(CHAT, {"model": "auto", "messages": list(messages), **more})
    assert status == 200, answer
    await router.decision(headers["x-highwayman-decision"])  # its outcome is on the log
    return str(headers["x-highwayman-decision"])


async def heard(router: Router, decision_id: str) -> list[tuple[str, str, str]]:
    found = await router.decision(decision_id, feedback=1)
    return [(one["source"], one["metric"], one["standing"]) for one in found["feedback"]]


async def test_an_answer_that_is_asked_for_again_is_regenerated_and_an_error_is_none(
    router: Router, upstream: ScriptedUpstream
) -> None:
    upstream.script(ANY, Fail(422), Say("K2."))
    status, _, refused = await router.post(CHAT, {"model": "auto", "messages": [ASKED]})
    assert status == 422
    await router.decision(refused["x-highwayman-decision"])
    first = await asked(router, ASKED)
    again = await asked(router, ASKED)
    assert await heard(router, first) == [("implicit", "regenerated", "uncalibrated")]
    assert (await router.decision(again))["feedback"] == []
    assert (await router.decision(refused["x-highwayman-decision"]))["feedback"] == []


async def test_a_question_that_is_put_anew_speaks_of_the_answer_before(router: Router) -> None:
    first = await asked(router, ASKED)
    answer = {"role": "assistant", "content": "K2."}
    await asked(router, ASKED, answer, {"role": "user", "content": "What is the tallest mountain of the Earth?"})
    assert await heard(router, first) == [("implicit", "rephrased", "uncalibrated")]


async def test_a_tools_error_speaks_of_the_answer_that_called_it(router: Router) -> None:
    first = await asked(router, ASKED)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": '{"error": "no such function"}'},
    ]
    await asked(router, ASKED, *said)
    assert await heard(router, first) == [("implicit", "tool_failure", "uncalibrated")]


async def test_a_stream_that_is_left_in_the_middle_was_abandoned(router: Router, upstream: ScriptedUpstream) -> None:
    upstream.script(ANY, Stall(Say("One two three four."), events=3))
    body = {"model": "auto", "messages": [ASKED], "stream": True}
    async with router.http.post(CHAT, json=body) as response:
        decision_id = response.headers["x-highwayman-decision"]
        await response.content.readany()
    async with asyncio.timeout(10):
        assert await heard(router, decision_id) == [("implicit", "abandoned", "uncalibrated")]


async def test_a_conversation_that_goes_on_says_nothing_of_its_answers(router: Router) -> None:
    first = await asked(router, ASKED)
    answer = {"role": "assistant", "content": "K2."}
    second = await asked(router, ASKED, answer, {"role": "user", "content": "Who climbed it first, and in what year?"})
    third = await asked(router, ASKED, answer, {"role": "user", "content": "Who climbed it first, and in what year?"})
    assert await heard(router, second) == [("implicit", "regenerated", "uncalibrated")]  # so they listen
    assert (await router.decision(first))["feedback"] == (await router.decision(third))["feedback"] == []
