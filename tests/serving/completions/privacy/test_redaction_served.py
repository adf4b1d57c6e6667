"""Placeholders for what is personal go to the arms, on a running router, and the answers come back with the values."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from highwayman.env.types import Decision
from tests.serving.running_router import Router, arm, ask, log_of, running_router
from tests.upstream_server import ANY, Body, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MAIL, PHONE = "ann@example.org", "+49 171 2345678"
CONFIG = {
    "privacy": {"classes": {"internal": []}, "redact": ["personal"]},
    "retention": {"prompts": True},
    "answer_cache": {},
    "feedback": {"judge": {"arms": ["judge"], "rate": 1.0}},
}


def echoed(body: Body) -> str:
    """What the server was asked last, letter by letter as it came."""
    return f"You said: {body['messages'][-1]['content'] if 'messages' in body else body['prompt']}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as server:
        server.script(ANY, Say(echoed))
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(upstream: ScriptedUpstream, valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    arms = [replace(arm("far", upstream.url), tools=True), arm("judge", upstream.url)]
    async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as started:
        yield started


async def said(router: Router, body: dict[str, Any], path: str = CHAT) -> tuple[int, str, str]:
    """Status, the answer's text, and the decision's id."""
    async with router.http.post(path, json=body) as response:
        raw, decision_id = await response.read(), response.headers.get("x-highwayman-decision", "")
    if not body.get("stream"):
        answer = json.loads(raw)
        choice = (answer.get("choices") or [{}])[0]
        return response.status, choice.get("text") or (choice.get("message") or {}).get("content", ""), decision_id
    chunks = [json.loads(line[5:]) for line in raw.split(b"\n") if line.startswith(b"data: {")]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return (
        response.status,
        "".join(c.get("text") or c.get("delta", {}).get("content") or "" for c in choices),
        decision_id,
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("chat", [False, True])
async def test_arms_get_placeholders_and_the_client_what_they_stand_for(
    router: Router, upstream: ScriptedUpstream, stream: bool, chat: bool
) -> None:
    before, text = len(upstream.requests), f"Write to {MAIL}, then call {PHONE}, then {MAIL} again."
    body = ask(text, model="far") if chat else {"model": "far", "prompt": text}
    status, answer, decision_id = await said(router, {**body, "stream": stream}, CHAT if chat else COMPLETIONS)
    assert (status, answer) == (200, f"You said: {text}")
    sent = json.dumps(upstream.requests[before:])
    assert "Write to [EMAIL_1], then call [PHONE_2], then [EMAIL_1] again." in sent
    assert MAIL not in sent
    view = await router.decision(decision_id)
    assert (view["privacy"]["class"], view["privacy"]["redacted"]) == ("public", ["email", "phone"])


async def test_judge_and_log_see_the_placeholders(
    router: Router, upstream: ScriptedUpstream, valkey_url: str, module_namespace: str
) -> None:
    upstream.requests.clear()
    status, _, decision_id = await said(router, ask(f"Is {MAIL} a person?", model="far", user="bob@example.org"))
    assert status == 200
    await upstream.asked(2)
    everything = json.dumps(upstream.requests)
    assert "Is [EMAIL_" in everything
    assert MAIL not in everything
    assert "bob@example.org" not in everything
    decisions = [event for event in await log_of(valkey_url, module_namespace) if isinstance(event, Decision)]
    told = next(decision for decision in decisions if decision.id == decision_id)
    assert told.prompt is not None
    assert told.prompt.startswith("Is [EMAIL_")
    assert told.user  # a pseudonym of who asked, not of a placeholder
    other = await said(router, ask(f"Is {MAIL} a person?", model="far", user="carl@example.org"))
    decisions = [event for event in await log_of(valkey_url, module_namespace) if isinstance(event, Decision)]
    assert next(decision for decision in decisions if decision.id == other[2]).user != told.user


@pytest.mark.parametrize(
    "body",
    [
        ask("my key is sk-proj-0123456789abcdefghij and my mail ann@example.org"),  # only what is personal is replaced
        ask("hello", metadata={"card": 4111111111111111}),  # a number stays a number
        ask("hello ann@example.org", metadata={"data_class": "internal"}),  # who asks says that all of it is
    ],
)
async def test_what_placeholders_do_not_hide_keeps_its_class(router: Router, body: dict[str, Any]) -> None:
    status, _, _ = await said(router, body)
    assert status == 403


async def test_arguments_of_tools_come_back_as_json(router: Router, upstream: ScriptedUpstream) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "mail", "arguments": '{"to": "[EMAIL_1]"}'}}
    choice = {"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}}
    whole = {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{**choice, "finish_reason": "tool_calls"}],
    }

    class Call(Say):
        def whole(self, body: Body) -> Body:
            return whole

    upstream.script("far-upstream", Call())
    tools = [{"type": "function", "function": {"name": "mail", "parameters": {"type": "object"}}}]
    async with router.http.post(CHAT, json=ask(f"Mail {MAIL}", model="far", tools=tools)) as response:
        answer = await response.json()
    upstream.script("far-upstream", Say(echoed))
    assert json.loads(answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]) == {"to": MAIL}
