"""Answers of an `openai` client know their decisions, whole, streamed, raw and in a tool loop."""

from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from aiohttp import web

from highwayman.client import Client
from highwayman.client.openai import async_decision_of, decision_of, with_decisions
from tests.client.conftest import Served
from tests.upstream_server import ANY, Say

ASKED: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


class CallsATool:
    """Calls the tool where one is offered and has not answered yet."""

    async def serve(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["messages"][-1]["role"] == "tool" or "tools" not in body:
            return await Say("Paris is it.").serve(request, body)
        call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        return web.json_response(
            {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
            | {"usage": usage}
        )


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as plain:
        yield with_decisions(plain)


def test_a_whole_answer_is_thumbed_through_the_client_that_asked(served: Served, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ASKED)
    assert decision_of(answer).thumbs_up().state == "logged"
    assert Client(base_url=served.url).decision(answer).id == decision_of(answer).id
    assert "highwayman" not in answer.model_dump_json()


def test_a_stream_and_its_chunks_know_their_decision(client: openai.OpenAI) -> None:
    with client.chat.completions.create(**ASKED, stream=True) as stream:
        begun = decision_of(stream).id
        assert {decision_of(chunk).id for chunk in stream} == {begun}


def test_responses_their_streams_and_copies_of_the_client_keep_it(client: openai.OpenAI) -> None:
    patient = client.with_options(timeout=20)
    assert decision_of(patient.responses.create(model="auto", input="Paris?")).thumbs_down().value == 0.0
    events = patient.responses.create(model="auto", input="Paris?", stream=True)
    assert {decision_of(event).id for event in events} == {decision_of(events).id}
    assert decision_of(client.chat.completions.with_raw_response.create(**ASKED)).id.startswith("hw-")


def test_each_answer_of_a_tool_loop_has_a_decision_and_the_loop_keeps_its_arm(
    served: Served, client: openai.OpenAI
) -> None:
    served.upstream.script(ANY, CallsATool())
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    asks = client.chat.completions.create(**ASKED, tools=[tool])
    (call,) = asks.choices[0].message.tool_calls or []
    result = {"role": "tool", "tool_call_id": call.id, "content": "Paris"}
    messages = [*ASKED["messages"], asks.choices[0].message.model_dump(exclude_none=True), result]
    says = client.chat.completions.create(model="auto", messages=messages, tools=[tool])
    report = decision_of(says).report()
    assert decision_of(asks).id != report.id
    assert (report.mode, report.arm) == ("sticky", asks.model)
    assert decision_of(says).thumbs_up().state == "logged"


async def test_an_async_client_and_its_streams_do_the_same(served: Served) -> None:
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as plain:
        client = with_decisions(plain)
        stream = await client.chat.completions.create(**ASKED, stream=True)
        chunks = [chunk async for chunk in stream]
        assert (await async_decision_of(chunks[-1]).thumbs_up()).state == "logged"
        with pytest.raises(ValueError, match="async"):
            decision_of(stream)


def test_an_answer_of_another_client_is_told_what_to_do(served: Served) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none") as plain:
        answer = plain.chat.completions.create(**ASKED)
    with pytest.raises(ValueError, match=r"with_decisions\(\.\.\.\)"):
        decision_of(answer)
    assert cast(str, answer.id).endswith(Client(base_url=served.url).decision_of(answer).id)
