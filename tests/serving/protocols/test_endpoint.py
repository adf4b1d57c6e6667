"""Other protocols at a started router: everything that holds for a chat holds for them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import BreakOff, Fail, Say, ScriptedUpstream, Stall

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all
FIXTURES = Path(__file__).with_name("fixtures")
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
KEY = {"x-api-key": "k-1", "anthropic-version": "2023-06-01"}


@dataclass(frozen=True, slots=True)
class World:
    """A router with two arms that call tools, and their server."""

    router: Router
    upstream: ScriptedUpstream

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any, Any]:
        """Return status, the events or the object of the answer, and its headers."""
        async with self.router.http.post(path, json=body, headers=KEY | headers) as response:
            raw = await response.text()
            is_stream = response.content_type == "text/event-stream"
            lines = [line[6:] for line in raw.splitlines() if line.startswith("data:")] if is_stream else [raw]
            said = [json.loads(line) for line in lines]
            return response.status, said if is_stream else said[0], response.headers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(valkey_url: str, module_namespace: str) -> AsyncIterator[World]:
    async with ScriptedUpstream() as upstream:
        arms = [replace(arm(name, upstream.url), tools=True, modalities=frozenset({"text", "image"})) for name in "ab"]
        async with running_router(arms, valkey_url, module_namespace, api_keys=frozenset({"k-1"})) as router:
            router.http.headers["authorization"] = "Bearer k-1"
            yield World(router, upstream)


@pytest_asyncio.fixture(loop_scope="module")
async def world(started: World) -> World:
    """The router, whose arms say hello."""
    for name in ("a-upstream", "b-upstream"):
        started.upstream.script(name, Say())
    started.upstream.requests.clear()
    return started


def message(**more: Any) -> dict[str, Any]:
    return {"model": "auto", "max_tokens": 16, "messages": [{"role": "user", "content": "hi"}], **more}


async def test_a_message_is_routed_logged_and_takes_feedback_under_its_id(world: World) -> None:
    status, said, headers = await world.post(MESSAGES, message())
    assert (status, said["content"]) == (200, [{"type": "text", "text": "Hello from upstream."}])
    assert said["usage"]["input_tokens"] == 7
    assert (said["id"], said["model"]) == (f"msg_{headers['x-highwayman-decision']}", headers["x-highwayman-arm"])
    filed, _, _ = await world.router.post("/v1/feedback", {"decision_id": said["id"], "metric": "thumbs", "value": 1})
    assert filed == 200
    decision = await world.router.decision(said["id"], feedback=1)
    assert (decision["mode"], decision["outcome"]["status"]) == ("route", "ok")


async def test_what_a_coding_agent_streams_is_answered_by_events_and_says_what_was_left_out(world: World) -> None:
    body = json.loads((FIXTURES / "messages_agent.json").read_text())
    status, events, headers = await world.post(f"{MESSAGES}?beta=true", body)
    kinds = [event["type"] for event in events]
    assert status == 200
    assert kinds[:3] == ["message_start", "ping", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-2]["usage"]["output_tokens"] == 5
    assert "tools.web_search_20250305" in headers["x-highwayman-left-out"]
    assert [tool["function"]["name"] for tool in world.upstream.requests[0]["tools"]] == ["Read", "Bash"]


async def test_whoever_called_a_tool_reads_its_result(world: World) -> None:
    body = json.loads((FIXTURES / "messages_agent.json").read_text()) | {"stream": False}
    first = {**body, "messages": body["messages"][:1]}
    arms = []
    for _ in range(6):
        _, _, asked = await world.post(MESSAGES, first)
        _, _, read = await world.post(MESSAGES, body)
        arms.append((asked["x-highwayman-arm"], read["x-highwayman-arm"]))
    decision = await world.router.decision(read["x-highwayman-decision"])
    assert decision["mode"] == "sticky"
    assert all(asked == read for asked, read in arms)


async def test_a_failing_arm_is_passed_over(world: World) -> None:
    world.upstream.script("a-upstream", Fail(500))
    for stream in (False, True):
        status, _, headers = await world.post(MESSAGES, message(stream=stream))
        assert (status, headers["x-highwayman-arm"]) == (200, "b")


async def test_an_answer_that_breaks_off_ends_with_an_error_event(world: World) -> None:
    for name in ("a-upstream", "b-upstream"):
        world.upstream.script(name, BreakOff(events=3))
    _, events, headers = await world.post(MESSAGES, message(stream=True))
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "api_error")
    assert not any(event["type"] == "message_stop" for event in events)
    decision = await world.router.decision(headers["x-highwayman-decision"])
    assert decision["outcome"]["status"] == "failed"


async def test_a_client_that_goes_is_on_the_log(world: World) -> None:
    for name in ("a-upstream", "b-upstream"):
        world.upstream.script(name, Stall(events=3))
    async with world.router.http.post(MESSAGES, json=message(stream=True), headers=KEY) as response:
        await response.content.readuntil(b"message_start")
        decision_id = response.headers["x-highwayman-decision"]
        response.close()
    decision = await world.router.decision(decision_id)
    assert decision["outcome"]["status"] == "client_gone"


async def test_errors_have_the_shape_of_the_protocol_wherever_they_come_from(world: World) -> None:
    cases = [
        (message(model="nobody"), {}, 404, "not_found_error"),
        ({"model": "auto"}, {}, 400, "invalid_request_error"),
        (message(temperature=-1), {}, 400, "invalid_request_error"),
        (message(), {"authorization": "Bearer wrong"}, 401, "authentication_error"),
    ]
    for body, headers, status, kind in cases:
        got, told, _ = await world.post(MESSAGES, body, **headers)
        assert (got, told["type"], told["error"]["type"]) == (status, "error", kind)
        assert told["error"]["message"]
    for name in ("a-upstream", "b-upstream"):
        world.upstream.script(name, Fail(400, "no such role"))
    got, told, _ = await world.post(MESSAGES, message())
    assert (got, told["error"]) == (400, {"type": "invalid_request_error", "message": "no such role"})


async def test_tokens_are_counted_without_asking_an_arm(world: World) -> None:
    status, told, _ = await world.post(f"{MESSAGES}/count_tokens", {**message(), "system": "word " * 100})
    assert status == 200
    assert told["input_tokens"] > 100
    assert world.upstream.requests == []


async def test_a_response_is_routed_and_takes_feedback_under_its_id(world: World) -> None:
    status, said, headers = await world.post(RESPONSES, {"model": "auto", "input": "hi"})
    assert (status, said["output"][0]["content"][0]["text"]) == (200, "Hello from upstream.")
    assert said["id"] == f"resp_{headers['x-highwayman-decision']}"
    filed, _, _ = await world.router.post("/v1/feedback", {"decision_id": said["id"], "metric": "thumbs", "value": 1})
    assert filed == 200


async def test_what_a_responses_agent_streams_is_answered_by_events(world: World) -> None:
    body = json.loads((FIXTURES / "responses_agent.json").read_text())
    status, events, headers = await world.post(RESPONSES, body)
    assert (status, events[-1]["type"]) == (200, "response.completed")
    assert events[-1]["response"]["usage"]["output_tokens"] == 5
    assert "reasoning" in headers["x-highwayman-left-out"]
    decision = await world.router.decision(headers["x-highwayman-decision"])
    assert decision["outcome"]["status"] == "ok"


async def test_what_needs_answers_to_be_kept_is_refused_in_the_shape_of_the_protocol(world: World) -> None:
    body = {"model": "auto", "input": "hi", "previous_response_id": "resp_1"}
    status, told, _ = await world.post(RESPONSES, body)
    assert (status, told["error"]["param"], told["error"]["type"]) == (
        400, "previous_response_id", "invalid_request_error",
    )  # fmt: skip


async def test_a_session_that_an_agent_names_is_a_conversation_that_takes_feedback(world: World) -> None:
    user = "user_1_account__session_33333333-4444"
    _, said, _ = await world.post(MESSAGES, message(metadata={"user_id": user}))
    assert (world.upstream.requests[0]["user"], "metadata" in world.upstream.requests[0]) == (user, False)
    statement = {"conversation_id": "33333333-4444", "metric": "thumbs", "value": True}
    status, filed, _ = await world.router.post("/v1/feedback", statement)
    assert (status, filed["decision_id"]) == (200, said["id"].removeprefix("msg_"))


async def test_a_request_that_is_refused_before_it_is_a_chat_is_counted(world: World) -> None:
    async def refused() -> float:
        async with world.router.http.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        named = 'highwayman_refused_total{code="invalid_request"}'
        return next((float(line.split()[-1]) for line in lines if line.startswith(named)), 0.0)

    before = await refused()
    await world.post(MESSAGES, {"model": "auto"})
    assert await refused() == before + 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MESSAGES, message(max_tokens=64_000)),
        (RESPONSES, {"model": "auto", "input": "hi", "max_output_tokens": 64_000}),
    ],
)
async def test_a_limit_beyond_every_window_is_held_to_what_the_arm_has_room_for(
    path: str, body: Any, world: World
) -> None:
    status, _, _ = await world.post(path, body)
    assert status == 200
    assert 3000 < world.upstream.requests[0]["max_tokens"] < 4096
    status, refusal, _ = await world.post("/v1/chat/completions", {**message(), "max_tokens": 64_000})
    assert (status, "are needed" in refusal["error"]["message"]) == (400, True)
