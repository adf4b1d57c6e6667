"""The local pool: a real model server that answers, that comes back, and that never outlives its parent."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from highwayman.env.errors import ConfigError
from highwayman.serving.processes import local_pool
from highwayman.serving.processes.local_pool import LocalPool, ServerOptions, local_pool_yaml, start_local_pool
from highwayman.serving.processes.supervised_process import ProcessFailed

PARENT = """
import asyncio
from highwayman.serving.processes.local_pool import start_local_pool

async def main() -> None:
    pool = await start_local_pool()
    print(pool.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[LocalPool]:
    async with await start_local_pool() as running:
        yield running


async def ask(url: str, text: str, **options: object) -> dict[str, object]:
    body = {"model": local_pool.MODEL, "messages": [{"role": "user", "content": text}], **options}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/chat/completions", json=body) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, object] = await response.json()
        return answer


@pytest.mark.asyncio(loop_scope="module")
async def test_the_model_answers_with_its_name_tokens_and_logprobs(pool: LocalPool) -> None:
    answer = await ask(pool.url, "Name the capital of Italy.", max_tokens=16, temperature=0, logprobs=True)
    choice = answer["choices"][0]  # type: ignore[index]
    assert answer["model"] == local_pool.MODEL
    assert "Rome" in choice["message"]["content"]
    assert answer["usage"]["completion_tokens"] == len(choice["logprobs"]["content"])  # type: ignore[index]


async def prompt_of(url: str, messages: list[dict[str, object]], **options: object) -> str:
    body = {"messages": messages, **options}
    async with aiohttp.ClientSession() as session, session.post(f"{url}/apply-template", json=body) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["prompt"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_prompt_is_as_the_models_own_template_makes_it_and_holds_the_tools_where_some_are_offered(
    pool: LocalPool,
) -> None:
    asked: dict[str, object] = {"role": "user", "content": "Is it cold?"}
    own = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    turn = "<|im_start|>user\nIs it cold?<|im_end|>\n<|im_start|>assistant\n"
    assert await prompt_of(pool.url, [asked]) == f"<|im_start|>system\n{own}<|im_end|>\n{turn}"
    system: dict[str, object] = {"role": "system", "content": "Be brief."}
    assert await prompt_of(pool.url, [system, asked]) == f"<|im_start|>system\nBe brief.<|im_end|>\n{turn}"
    tool = {"type": "function", "function": {"name": "thermometer", "parameters": {"type": "object"}}}
    call = {"id": "1", "type": "function", "function": {"name": "thermometer", "arguments": "{}"}}
    result: list[dict[str, object]] = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    prompt = await prompt_of(pool.url, [system, asked, *result], tools=[tool])
    assert prompt.startswith("<|im_start|>system\nBe brief.\n\n")
    assert prompt.index('"name": "thermometer"') < prompt.index("get_time") < prompt.index("Is it cold?")
    assert prompt.endswith(
        "Is it cold?<|im_end|>\n<|im_start|>assistant\n<tool_call>\n"
        '{"name": "thermometer", "arguments": {}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\nResult: 4<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_killed_server_comes_back_on_the_same_port(pool: LocalPool) -> None:
    url, before = pool.url, pool.pid
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(20):
        while pool.restarts == 0:
            await asyncio.sleep(0.05)
    assert pool.url == url
    assert pool.pid != before
    assert (await ask(url, "Say yes.", max_tokens=4))["choices"]


async def test_the_server_ends_when_its_parent_is_killed() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    server = os.pidfd_open(int(await asyncio.wait_for(parent.stdout.readline(), 30)))
    parent.kill()
    await parent.wait()
    ended, _, _ = await asyncio.to_thread(select.select, [server], [], [], 5.0)
    os.close(server)
    assert ended


async def test_stopping_leaves_no_process_and_may_be_repeated() -> None:
    pool = await start_local_pool()
    server = os.pidfd_open(pool.pid)
    await pool.stop()
    await pool.stop()
    ended, _, _ = select.select([server], [], [], 0.0)
    os.close(server)
    assert ended
    assert pool.restarts == 0


async def test_a_deadline_that_passes_is_an_error_and_leaves_no_process(tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed, match="did not answer in time"):
        await start_local_pool(ServerOptions(deadline_s=0.01, log_path=tmp_path / "server.log"))


async def test_a_port_in_use_is_an_error_at_once(pool: LocalPool) -> None:
    port = int(pool.url.rpartition(":")[2])
    with pytest.raises(ProcessFailed, match=f"port {port} on 127.0.0.1 cannot be had"):
        await start_local_pool(ServerOptions(port=port, deadline_s=20))


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_pool.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"highwayman\[local\]"):
        local_pool.model_path()


def test_the_pool_file_names_the_endpoint_for_every_arm() -> None:
    arms = yaml.safe_load(local_pool_yaml("http://127.0.0.1:1234"))["arms"]
    assert len(arms) >= 3
    assert all(arm["endpoints"] == ["http://127.0.0.1:1234"] for arm in arms.values())
    assert all(arm["model"] == local_pool.MODEL for arm in arms.values())
