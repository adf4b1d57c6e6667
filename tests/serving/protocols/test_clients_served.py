"""The official clients against a started router: sync and async, whole and streamed, with tools."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import openai
import pytest
import pytest_asyncio
from aiohttp import web

from tests.serving.completions.test_tool_loops_served import CallTool
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}


class Agent:
    """Calls the tool that is offered, and speaks once it has its result."""

    def __init__(self) -> None:
        self._calls = CallTool(lambda number: f"call_{number}", count=2)

    async def serve(self, request: web.Request, body: Any) -> web.StreamResponse:
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            return await self._calls.serve(request, body)
        return await Say("It is 42.").serve(request, body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Agent())
        arms = [replace(arm("a", upstream.url), tools=True)]
        async with running_router(arms, valkey_url, module_namespace) as started:
            yield started


async def test_openais_client_streams_responses_calls_tools_and_reads_on(router: Router) -> None:
    async with openai.AsyncOpenAI(base_url=f"{router.url}/v1", api_key="none") as client:
        items: list[Any] = [{"role": "user", "content": "What is it?"}]
        async with client.responses.stream(model="auto", input=items, tools=[FUNCTION]) as stream:
            kinds = [event.type async for event in stream]
            called = await stream.get_final_response()
        assert kinds[-1] == "response.completed"
        assert [item.type for item in called.output] == ["function_call", "function_call"]
        results = [{"type": "function_call_output", "call_id": item.call_id, "output": "42"} for item in called.output]
        items += [*(item.model_dump(exclude_none=True) for item in called.output), *results]
        response = await client.responses.create(model="auto", input=items, tools=[FUNCTION])
        assert response.output_text == "It is 42."
        assert response.usage.total_tokens == 12
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="nobody", input="hi")


async def test_openais_sync_client_gets_responses(router: Router) -> None:
    def talk() -> str:
        with openai.OpenAI(base_url=f"{router.url}/v1", api_key="none") as client:
            response = client.responses.create(model="auto", input="What is it?")
            parts = client.responses.create(model="auto", input="What is it?", stream=True)
            text = "".join(event.delta for event in parts if event.type == "response.output_text.delta")
            assert text == response.output_text
            return text

    assert await asyncio.to_thread(talk) == "It is 42."


async def test_anthropics_client_streams_messages_calls_tools_and_reads_on(router: Router) -> None:
    anthropic = pytest.importorskip("anthropic")
    async with anthropic.AsyncAnthropic(base_url=router.url, api_key="none") as client:
        messages: list[Any] = [{"role": "user", "content": "What is it?"}]
        asked = {"model": "auto", "max_tokens": 64, "tools": [TOOL]}
        async with client.messages.stream(**asked, messages=messages) as stream:
            called = await stream.get_final_message()
        assert (called.stop_reason, [block.type for block in called.content]) == ("tool_use", ["tool_use", "tool_use"])
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": "42"} for block in called.content]
        messages += [{"role": "assistant", "content": called.content}, {"role": "user", "content": results}]
        message = await client.messages.create(**asked, messages=messages)
        assert message.content[0].text == "It is 42."
        assert (await client.messages.count_tokens(model="auto", messages=messages)).input_tokens > 0
        assert [model.id async for model in client.models.list()][-1] == "a"
        with pytest.raises(anthropic.NotFoundError, match="does not exist"):
            await client.messages.create(model="nobody", max_tokens=1, messages=messages)


async def test_anthropics_sync_client_gets_messages(router: Router) -> None:
    anthropic = pytest.importorskip("anthropic")

    def talk() -> str:
        with anthropic.Anthropic(base_url=router.url, api_key="none") as client:
            asked = {"model": "auto", "max_tokens": 64, "messages": [{"role": "user", "content": "What is it?"}]}
            with client.messages.stream(**asked) as stream:
                text = "".join(stream.text_stream)
            assert client.messages.create(**asked).content[0].text == text
            return text

    assert await asyncio.to_thread(talk) == "It is 42."
