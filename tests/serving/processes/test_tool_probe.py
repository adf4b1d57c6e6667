"""What a server's answers to a request with a tool say of it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from highwayman.serving.processes.tool_probe import calls_tools
from highwayman.serving.processes.vllm_discover import ArmDefaults, ServedModel, discover, render_pool
from tests.serving.completions.test_tool_loops_served import CallTool, random_id
from tests.upstream_server import ANY, Behaviour, Fail, Garbage, HangUp, Say, ScriptedUpstream

PLAIN_TOKENS = 31


@dataclass(frozen=True, slots=True)
class Count:
    """Answers, and counts the prompt's tokens as `tokens` has them for a body."""

    tokens: Callable[[Any], int]

    async def serve(self, request: web.Request, body: Any) -> web.StreamResponse:
        return await replace(Say("Hi"), tokens_in=self.tokens(body)).serve(request, body)


def reads_tools(body: Any) -> int:
    return PLAIN_TOKENS + len(json.dumps(body.get("tools", ""))) // 5


CASES: list[tuple[Behaviour, bool | None]] = [
    (CallTool(random_id), True),
    (Count(reads_tools), True),
    (Count(lambda body: PLAIN_TOKENS), False),  # llama.cpp, where the model's chat template has no place for tools
    (Fail(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'), False),
    (Fail(500, "tools param requires --jinja flag"), False),
    (Fail(400, "m does not support tools"), False),
    (Say("Hi", usage=False), None),
    (Fail(400, "this model has no chat template"), None),
    (Fail(401, "Incorrect API key provided. Function calling is not enabled for it."), None),
    (Fail(503), None),
    (Garbage(), None),
    (Garbage(b"[" * 99_999), None),
    (HangUp(), None),
]


def _case_name(value: object) -> str:
    """Return a name that is the same in every process: functions are told without where they lie."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))[:70]


@pytest.mark.parametrize(("behaviour", "calls"), CASES, ids=_case_name)
async def test_a_servers_answers_tell_whether_it_calls_tools_or_that_nobody_knows(
    behaviour: Behaviour, calls: bool | None
) -> None:
    async with ScriptedUpstream() as server, aiohttp.ClientSession() as session:
        server.script(ANY, behaviour)
        assert await calls_tools(session, server.url, "m") is calls
        assert [body["max_tokens"] for body in server.requests] == [1] * len(server.requests)
        assert len(server.requests[0]["tools"]) == 1


async def test_what_was_found_is_written_and_nothing_where_nobody_asked() -> None:
    async with ScriptedUpstream() as server:
        server.script("m", Count(reads_tools))
        probed = await discover([server.url], probe_tools=True)
        assert {model.tools for model in probed} == {True}
        assert "tools: true\n" in render_pool(probed, ArmDefaults())
        server.requests.clear()
        assert "tools" not in render_pool(await discover([server.url]), ArmDefaults())
        assert server.requests == []


@pytest.mark.parametrize(
    ("told", "written"),
    [
        ((True, True), "true"),
        ((True, False), "false"),
        ((False, "unknown"), "false"),
        ((True, "unknown"), "unknown"),
        (("unknown", "unknown"), "unknown"),
    ],
)
def test_an_arm_calls_tools_where_all_of_its_replicas_do(told: tuple[Any, Any], written: str) -> None:
    replicas = [ServedModel(f"http://{place}:1", "m", None, 512, tools) for place, tools in enumerate(told)]
    assert f"tools: {written}\n" in render_pool(replicas, ArmDefaults())
