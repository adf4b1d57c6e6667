"""Answers of an `openai` client know their decisions, whole, streamed, raw and in a tool loop."""

from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest

from highwayman.client import Client
from highwayman.client.openai import async_decision_of, decision_of, with_decisions
from tests.client.conftest import Served

ASKED: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


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
