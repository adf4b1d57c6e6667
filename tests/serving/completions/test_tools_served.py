"""Requests with tools at pools of which nobody said who calls them: routers over HTTP, and servers that refuse."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.types import Arm
from tests.serving.completions.test_tool_loops_served import TOOLS, CallTool, random_id
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream

CHAT = "/v1/chat/completions"
NO_TOOLS = Fail(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
LONG = [{"type": "function", "function": {"name": f"f{k}", "description": "Looks up the weather. " * 40}}
        for k in range(8)]  # fmt: skip
NAMED = {"type": "function", "function": {"name": "f"}}


def arms(upstream: ScriptedUpstream, **tools: bool | None) -> list[Arm]:
    return [replace(arm(name, upstream.url), tools=takes) for name, takes in tools.items()]


async def asked(router: Router, **more: Any) -> tuple[int, Any, dict[str, str]]:
    return await router.post(CHAT, ask(**{"tools": TOOLS, **more}))


def offered(upstream: ScriptedUpstream) -> list[tuple[str, bool]]:
    """Which models were asked, and whether with anything of tools."""
    return [(body["model"], any("tool" in key for key in body)) for body in upstream.requests]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{}, {"tool_choice": "auto", "parallel_tool_calls": True}, {"tool_choice": "none"}])
async def test_where_no_arm_takes_tools_the_request_goes_on_without_them_and_all_are_told(
    choice: dict[str, Any], stream: bool, valkey_url: str, namespace: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=False), valkey_url, namespace) as router,
    ):
        async with router.http.post(CHAT, json=ask(tools=TOOLS, stream=stream, **choice)) as response:
            assert (response.status, response.headers["x-highwayman-tools"]) == (200, "dropped")
            assert b"upstream" in await response.read()
        assert offered(upstream) == [("a-upstream", False)]
        decision = await router.decision(response.headers["x-highwayman-decision"])
        assert decision["outcome"]["tools_dropped"] is True
        assert decision["context"]["flags"] == ["tools_dropped"]


async def test_where_a_tool_must_be_called_the_refusal_names_the_key_to_set(valkey_url: str, namespace: str) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=False), valkey_url, namespace) as router,
    ):
        for model in ("auto", "a"):
            for choice in ("required", NAMED):
                status, body, headers = await asked(router, model=model, tool_choice=choice)
                assert (status, headers.get("x-highwayman-tools")) == (400, None)
                assert "does not call tools" in body["error"]["message"]
                assert "`tools: true`" in body["error"]["message"]
        assert upstream.requests == []


async def test_an_arm_of_which_nobody_knows_is_tried_and_after_its_refusal_the_next_and_then_left_alone(
    valkey_url: str, namespace: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=None, b=None), valkey_url, namespace) as router,
    ):
        upstream.script("a-upstream", NO_TOOLS)
        upstream.script("b-upstream", CallTool(random_id))
        answers = [await asked(router) for _ in range(12)]
        assert {status for status, _, _ in answers} == {200}
        assert {headers["x-highwayman-arm"] for _, _, headers in answers} == {"b"}
        assert not any("x-highwayman-tools" in headers for _, _, headers in answers)
        assert offered(upstream).count(("a-upstream", True)) == 1
        plain = {(await router.post(CHAT, ask(f"{k}?")))[2]["x-highwayman-arm"] for k in range(12)}
        assert "b" in plain  # and a refusal of tools is no failure of an arm
        _, policy = await router.get("/v1/policy")
        assert policy["arms"]["a"]["failures"] == 0


async def test_where_every_arm_refuses_the_tools_the_same_request_goes_on_without_them(
    valkey_url: str, namespace: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=None, b=True), valkey_url, namespace) as router,
    ):
        for model in ("a-upstream", "b-upstream"):
            upstream.script(model, NO_TOOLS, Say("without"))
        status, body, headers = await asked(router)
        assert (status, headers["x-highwayman-tools"]) == (200, "dropped")
        assert body["choices"][0]["message"]["content"] == "without"
        assert sorted(offered(upstream)[:2]) == [("a-upstream", True), ("b-upstream", True)]
        assert offered(upstream)[2][1] is False
        outcome = (await router.decision(headers["x-highwayman-decision"]))["outcome"]
        assert outcome["tools_dropped"] is True
        assert [attempt["ending"] for attempt in outcome["tried"]] == ["tools_refused", "tools_refused", "answered"]
        await asked(router)
        assert offered(upstream)[3][1] is False  # what was said is remembered


async def test_where_a_tool_must_be_called_and_every_arm_refuses_the_key_is_named(
    valkey_url: str, namespace: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=None, b=None), valkey_url, namespace) as router,
    ):
        upstream.script(ANY, NO_TOOLS)
        status, body, headers = await asked(router, tool_choice="required")
        assert status == 400
        assert "a does not call tools" in body["error"]["message"]
        assert "`tools: true`" in body["error"]["message"]
        assert (await router.decision(headers["x-highwayman-decision"]))["outcome"]["status"] == "refused"


async def test_tools_are_no_part_of_a_prompt_that_goes_on_without_them(valkey_url: str, namespace: str) -> None:
    async with ScriptedUpstream() as upstream:
        small: Sequence[Arm] = [replace(arm("a", upstream.url, window=512), tools=False)]
        async with running_router(small, valkey_url, namespace) as router:
            status, _, headers = await asked(router, tools=LONG)
            assert status == 200
            decision = await router.decision(headers["x-highwayman-decision"])
            assert decision["context"]["prompt_tokens"] < 40


async def test_an_arm_that_by_its_own_count_does_not_read_the_tools_is_asked_without_them_from_then_on(
    valkey_url: str, namespace: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=None), valkey_url, namespace) as router,
    ):
        upstream.script(ANY, Say("hm", tokens_in=20))
        answers = [await asked(router, tools=LONG) for _ in range(2)]
        assert [headers.get("x-highwayman-tools") for _, _, headers in answers] == [None, "dropped"]


async def test_a_tool_that_is_malformed_reaches_the_caller_and_says_nothing_of_the_arm(
    valkey_url: str, namespace: str
) -> None:
    async with (
        ScriptedUpstream() as upstream,
        running_router(arms(upstream, a=None, b=None), valkey_url, namespace) as router,
    ):
        upstream.script(ANY, Fail(400, "Invalid 'tools[0].function.name': string does not match pattern"))
        answers = [await asked(router) for _ in range(2)]
        assert [status for status, _, _ in answers] == [400, 400]
        assert [with_tools for _, with_tools in offered(upstream)] == [True, True]
