"""Whoever called a tool reads its result: routers over HTTP, whose servers really call tools."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ANY, Fail, ScriptedUpstream

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
SLOW_REDIS_IS_NO_LOST_REDIS = {"limits": {"redis_s": 5.0}}
ROUNDS = 40


@dataclass
class CallTool:
    """Calls `count` tools, under ids that `name` makes of the number of the call; whole or streamed."""

    name: Callable[[int], str]
    count: int = 1
    calls: list[int] = field(default_factory=lambda: [0])

    async def serve(self, request: web.Request, body: Any) -> web.StreamResponse:
        self.calls[0] += 1
        made = [
            {"index": k, "id": self.name(10 * self.calls[0] + k), "type": "function",
             "function": {"name": "f", "arguments": "{}"}}
            for k in range(self.count)
        ]  # fmt: skip
        if not body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": made}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
            return web.json_response({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice]})
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        choices = [{"delta": {"tool_calls": [call]}} for call in made] + [{"delta": {}, "finish_reason": "tool_calls"}]
        for choice in choices:
            await response.write(b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


def random_id(number: int) -> str:
    return f"chatcmpl-tool-{number:032x}"


@asynccontextmanager
async def routers(
    url: str, namespace: str, behaviour: CallTool, count: int = 1
) -> AsyncIterator[tuple[list[Router], ScriptedUpstream]]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream())
        upstream.script(ANY, behaviour)
        arms = [replace(arm(name, upstream.url), tools=True) for name in ("a", "b")]
        started = [
            await stack.enter_async_context(
                running_router(arms, url, namespace, config=SLOW_REDIS_IS_NO_LOST_REDIS, learn=place == 0, seed=place)
            )
            for place in range(count)
        ]
        yield started, upstream


async def asked(
    router: Router, messages: list[Any], headers: dict[str, str], *, stream: bool
) -> tuple[str, str, list[Any]]:
    """Return the arm that answered, its decision and the calls it made."""
    body = {"model": "auto", "messages": messages, "tools": TOOLS, "stream": stream}
    async with router.http.post("/v1/chat/completions", json=body, headers=headers) as response:
        text = await response.text()
        assert response.status == 200, text
        said = (
            [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
            if stream
            else [json.loads(text)]
        )
        parts = [choice.get("delta") or choice.get("message") or {} for event in said for choice in event["choices"]]
        calls = [call for each in parts for call in each.get("tool_calls", ())]
        return response.headers["x-highwayman-arm"], response.headers["x-highwayman-decision"], calls


def with_results(messages: list[Any], calls: list[Any], *, apart: bool) -> list[Any]:
    groups = [[call] for call in calls] if apart else [calls]
    for group in groups:
        messages = [*messages, {"role": "assistant", "content": None, "tool_calls": group}]
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": "12 C"} for call in group]
    return messages


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "question", "headers"),
    [
        (lambda _: "call_1", "weather in town {}?", {}),  # servers that count their calls
        (random_id, "what is the weather?", {}),  # conversations that begin alike
        (lambda _: "call_1", "what is the weather?", {"x-conversation-id": "c{}"}),
    ],
)
async def test_forty_of_forty_results_reach_the_arm_that_called_whichever_worker_is_asked(
    valkey_url: str, namespace: str, stream: bool, name: Callable[[int], str], question: str, headers: dict[str, str]
) -> None:
    async with routers(valkey_url, namespace, CallTool(name), count=2) as (workers, _):

        async def loop(number: int) -> tuple[str, str, str]:
            sent = {key: value.format(number) for key, value in headers.items()}
            messages = [{"role": "user", "content": question.format(number)}]
            first, _, calls = await asked(workers[0], messages, sent, stream=stream)
            messages = with_results(messages, calls, apart=False)
            second, _, calls = await asked(workers[1], messages, sent, stream=stream)
            messages = with_results(messages, calls, apart=False)
            third, _, _ = await asked(workers[0], messages, sent, stream=stream)
            return first, second, third

        served = [await loop(number) for number in range(ROUNDS)]
    assert len({first for first, _, _ in served}) == 2  # else nothing could have changed
    assert [arms for arms in served if len(set(arms)) > 1] == []


@pytest.mark.parametrize("apart", [False, True])
async def test_parallel_calls_lead_back_however_the_client_writes_them_down(
    valkey_url: str, namespace: str, apart: bool
) -> None:
    async with routers(valkey_url, namespace, CallTool(random_id, count=3)) as ((router,), _):
        changed = 0
        for _ in range(20):
            messages = [{"role": "user", "content": "what is the weather?"}]
            first, _, calls = await asked(router, messages, {}, stream=True)
            assert len(calls) == 3
            second, _, _ = await asked(router, with_results(messages, calls, apart=apart), {}, stream=True)
            changed += first != second
    assert changed == 0


async def test_results_that_name_the_answer_before_reach_its_arm_whatever_else_is_sent(
    valkey_url: str, namespace: str
) -> None:
    async with routers(valkey_url, namespace, CallTool(lambda _: "call_1"), count=2) as (workers, _):
        served = []
        for number in range(12):
            body = {"model": "auto", "messages": [{"role": "user", "content": "What is the weather?"}], "tools": TOOLS}
            _, answer, first = await workers[0].post("/v1/chat/completions", body)
            result = [{"role": "tool", "tool_call_id": "call_1", "content": f"{number} C"}]
            then = {**body, "messages": result, "previous_response_id": answer["id"]}
            _, _, second = await workers[1].post("/v1/chat/completions", then)
            served.append((first["x-highwayman-arm"], second["x-highwayman-arm"]))
    assert len({first for first, _ in served}) == 2
    assert [arms for arms in served if len(set(arms)) > 1] == []


async def test_a_sticky_turn_is_logged_as_one_and_a_conversations_feedback_teaches_the_drawn_one(
    valkey_url: str, namespace: str
) -> None:
    headers = {"x-conversation-id": "c"}
    async with routers(valkey_url, namespace, CallTool(random_id)) as ((router,), _):
        messages = [{"role": "user", "content": "what is the weather?"}]
        arm_name, drawn_id, calls = await asked(router, messages, headers, stream=False)
        _, sticky_id, _ = await asked(router, with_results(messages, calls, apart=False), headers, stream=False)
        drawn, sticky = await router.decision(drawn_id), await router.decision(sticky_id)
        assert (drawn["mode"], sticky["mode"]) == ("route", "sticky")
        assert sticky["propensity"] == 1.0
        status, _, _ = await router.post("/v1/feedback", {"conversation_id": "c", "metric": "thumbs", "value": True})
        assert status == 200
        for decision_id in (drawn_id, sticky_id):
            told = await router.decision(decision_id, feedback=1)
            assert [statement["weight"] for statement in told["feedback"]] == [0.5]
        await router.policy_until(arm_name, decisions=2)


async def test_after_a_failover_the_loop_stays_with_who_served(valkey_url: str, namespace: str) -> None:
    async with routers(valkey_url, namespace, CallTool(random_id)) as ((router,), upstream):
        upstream.script("a-upstream", Fail(500))
        messages = [{"role": "user", "content": "what is the weather?"}]
        for _ in range(6):
            first, _, calls = await asked(router, messages, {}, stream=False)
            assert first == "b"
            assert (await asked(router, with_results(messages, calls, apart=False), {}, stream=False))[0] == "b"


async def test_the_loop_goes_on_elsewhere_where_the_arm_that_called_fails(valkey_url: str, namespace: str) -> None:
    async with routers(valkey_url, namespace, CallTool(random_id)) as ((router,), upstream):
        messages = [{"role": "user", "content": "what is the weather?"}]
        first, _, calls = await asked(router, messages, {}, stream=False)
        upstream.script(f"{first}-upstream", Fail(500))
        then = with_results(messages, calls, apart=False)
        second, decision_id, calls = await asked(router, then, {}, stream=False)
        assert second != first
        assert (await router.decision(decision_id))["mode"] == "sticky"
        third, decision_id, _ = await asked(router, with_results(then, calls, apart=False), {}, stream=False)
        assert third == second
