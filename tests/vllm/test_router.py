"""Real requests, through the router, to two real vLLM servers."""

import asyncio
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest

from highwayman.env.pool.pool_file import load_pool

pytestmark = pytest.mark.vllm

ARMS = ["smollm2", "tiny", "tiny-lora"]
CAPITAL: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


def call(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def until(true: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"it did not come about in {within_s} s"
        time.sleep(0.1)


def check_headers(headers: Mapping[str, str], served: str) -> str:
    """Return the decision's id, after checking that the headers say who answered."""
    assert headers["x-highwayman-arm"] == served
    assert 0 < float(headers["x-highwayman-propensity"]) <= 1
    assert headers["x-highwayman-decision"]
    return headers["x-highwayman-decision"]


def test_the_arms_and_the_aliases_are_listed(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} >= {*ARMS, "auto", "auto-cheap", "auto-quality"}


@pytest.mark.parametrize("model", ["smollm2", "tiny", "tiny-lora", "auto"])
def test_a_chat_is_answered_with_usage_and_the_name_of_who_answered(client: openai.OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=CAPITAL, max_tokens=12, temperature=0)
    answer = raw.parse()
    check_headers(raw.headers, served=answer.model)
    assert answer.model in (ARMS if model == "auto" else [model])
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.prompt_tokens > 5
    assert 0 < answer.usage.completion_tokens <= 12
    if answer.model == "smollm2":
        assert "Paris" in answer.choices[0].message.content


@pytest.mark.parametrize("model", ["smollm2", "tiny", "tiny-lora", "auto"])
def test_a_streamed_chat_is_the_same_and_ends_with_its_usage(client: openai.OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=model,
        messages=CAPITAL,
        max_tokens=8,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(raw.parse())
    (served,) = {chunk.model for chunk in chunks}
    check_headers(raw.headers, served)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].usage
    assert 0 < chunks[-1].usage.completion_tokens <= 8
    whole = client.chat.completions.create(model=served, messages=CAPITAL, max_tokens=8, temperature=0)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == whole.choices[0].message.content


def test_a_stream_that_did_not_ask_for_usage_has_none(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="tiny", messages=CAPITAL, max_tokens=4, stream=True)
    chunks = list(stream)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("model", ["smollm2", "tiny-lora"])
def test_logprobs_come_through_whole_and_streamed(client: openai.OpenAI, model: str) -> None:
    wanted: dict[str, Any] = {"model": model, "messages": CAPITAL, "max_tokens": 5, "logprobs": True, "top_logprobs": 2}
    answer = client.chat.completions.create(**wanted)
    logprobs = answer.choices[0].logprobs
    assert logprobs
    assert logprobs.content
    assert answer.usage
    assert len(logprobs.content) == answer.usage.completion_tokens
    assert all(len(token.top_logprobs) >= 2 and token.logprob <= 0 for token in logprobs.content)
    chunks = list(client.chat.completions.create(**wanted, stream=True))
    streamed = [chunk.choices[0].logprobs for chunk in chunks if chunk.choices]
    assert sum(len(part.content or ()) for part in streamed if part) in range(1, 6)


def test_a_lora_arm_answers_otherwise_than_its_parent(client: openai.OpenAI) -> None:
    said = [
        client.chat.completions.create(model=arm, messages=CAPITAL, max_tokens=8, temperature=0).choices[0].message
        for arm in ("tiny", "tiny-lora")
    ]
    assert said[0].content != said[1].content


@pytest.mark.parametrize("model", ["smollm2", "tiny-lora", "auto"])
def test_completions_are_answered_whole_and_streamed(client: openai.OpenAI, model: str) -> None:
    raw = client.completions.with_raw_response.create(model=model, prompt="Once upon a", max_tokens=4, logprobs=1)
    answer = raw.parse()
    check_headers(raw.headers, served=answer.model)
    assert answer.choices[0].text
    assert answer.choices[0].logprobs
    assert answer.usage
    assert answer.usage.completion_tokens <= 4
    chunks = list(client.completions.create(model=model, prompt="Once upon a", max_tokens=4, stream=True))
    assert len({chunk.model for chunk in chunks}) == 1
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)


def test_many_clients_at_once_are_answered_by_both_servers(router: str) -> None:
    async def main() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{router}/v1", api_key="none", max_retries=0, timeout=120) as client:

            async def one(number: int) -> str:
                model = ("auto", "smollm2", "tiny", "tiny-lora")[number % 4]
                messages: list[Any] = [{"role": "user", "content": f"Count to {number}."}]
                stream = await client.chat.completions.create(model=model, messages=messages, max_tokens=6, stream=True)
                return {chunk.model async for chunk in stream}.pop()

            return await asyncio.gather(*(one(number) for number in range(12)))

    assert set(asyncio.run(main())) == set(ARMS)


def test_a_thumb_reaches_the_decision_and_the_policy(client: openai.OpenAI, router: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=CAPITAL, max_tokens=4)
    arm = raw.parse().model
    decision = check_headers(raw.headers, served=arm)

    def told() -> int:
        return int(call(f"{router}/v1/policy")["arms"][arm]["feedback"])

    before = told()
    call(f"{router}/v1/feedback", {"decision_id": decision, "metric": "thumbs", "value": True})
    until(lambda: told() == before + 1, within_s=5)
    kept = json.dumps(call(f"{router}/v1/decisions/{decision}"))
    assert decision in kept
    assert arm in kept
    assert "thumbs" in kept


def test_what_real_servers_say_of_their_load_and_their_models_is_known(router: str) -> None:
    def told() -> bool:
        replicas = [replica for name in ARMS for replica in call(f"{router}/v1/policy")["arms"][name]["replicas"]]
        assert all(replica["serves"] for replica in replicas)
        return all(replica["first_token_s"] and replica["running"] == replica["waiting"] == 0 for replica in replicas)

    until(told, within_s=30)


def test_what_a_server_refuses_is_an_openai_error_not_a_failure(client: openai.OpenAI, router: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="no-such-arm", messages=CAPITAL)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="tiny", messages=CAPITAL, max_tokens=8, temperature=-5)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        call(f"{router}/v1/decisions/unknown")


def server_process(port: str) -> int:
    """Return the process id of the vLLM server on `port`."""
    wanted = f"--port\0{port}\0"
    pids = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    (pid,) = (pid for pid in pids if wanted in command_line(pid) and "api_server" in command_line(pid))
    return int(pid)


def command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def test_a_killed_server_costs_no_answer_and_comes_back(client: openai.OpenAI, pool_file: Path) -> None:
    tiny = load_pool(pool_file).arms[1].endpoints[0]
    os.kill(server_process(re.sub(".*:", "", tiny)), signal.SIGKILL)
    for _ in range(3):
        assert client.chat.completions.create(model="auto", messages=CAPITAL, max_tokens=4).model == "smollm2"

    def back() -> bool:
        try:
            answer = client.chat.completions.create(model="tiny-lora", messages=CAPITAL, max_tokens=4)
        except openai.InternalServerError:  # 5xx: what a named arm that is down answers
            return False
        return answer.model == "tiny-lora"

    until(back, within_s=300)
