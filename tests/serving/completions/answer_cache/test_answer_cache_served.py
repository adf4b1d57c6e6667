"""Answers given again by a running router: over HTTP, with a real Valkey and a real model server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio as aioredis

from highwayman.env.types import Arm
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys
from tests.serving.running_router import Router, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all

TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}
PATH = "/v1/chat/completions"
# Its policy takes the cheapest arm: a stored answer costs nothing, so it is given wherever it may be.
CONFIG: dict[str, Any] = {
    "limits": {"redis_s": 5.0},
    "policy": {"name": "Cheapest", "floor": 0.0},
    "objective": {"points_per_usd": {"auto": 1500.0, "auto-quality": 1500.0}},
    "answer_cache": {"similarity": 0.8},
}


@dataclass
class Served:
    """A router, the server behind its one arm, and what is stored."""

    router: Router
    upstream: ScriptedUpstream
    redis: "aioredis.Redis"
    namespace: str
    stored: int = 0

    async def arm_of(self, body: Any, headers: dict[str, str] | None = None, path: str = PATH) -> str:
        """The arm that answers."""
        return (await self.ask(body, headers, path))[1]["x-highwayman-arm"]

    async def ask(self, body: Any, headers: dict[str, str] | None = None, path: str = PATH) -> tuple[bytes, Any]:
        async with self.router.http.post(path, json=body, headers=headers) as response:
            answer = await response.read()
            assert response.status == 200, answer
            return answer, response.headers

    async def teach(self, body: Any, headers: dict[str, str] | None = None, path: str = PATH) -> str:
        """Ask what nobody has asked before; return the decision once its answer is stored, behind the client's back."""
        _, told = await self.ask(body, headers, path)
        assert told["x-highwayman-arm"] == "a"
        self.stored += 1
        async with asyncio.timeout(10):
            while await self.redis.xlen(Keys(self.namespace)("answers")) < self.stored:
                await asyncio.sleep(0.002)
        return str(told["x-highwayman-decision"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(valkey_url: str, module_namespace: str) -> AsyncIterator[Served]:
    client = connect(valkey_url)
    async with ScriptedUpstream() as upstream:
        reads = frozenset({"text", "image"})
        arm = Arm("a", (upstream.url,), "a-upstream", 1.0, 1.0, 4096, modalities=reads, tools=True)
        async with running_router([arm], valkey_url, module_namespace, config=CONFIG) as router:
            upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
            yield Served(router, upstream, client, module_namespace)
    await client.aclose()


async def test_the_same_question_is_answered_from_the_store_and_told_like_any_answer(served: Served) -> None:
    first = await served.teach(ask("What is the capital of France?"))
    calls = len(served.upstream.requests)
    answer, headers = await served.ask(ask("  What is the capital of France?\n", user="ann"))
    assert len(served.upstream.requests) == calls
    told = json.loads(answer)
    assert told["choices"][0]["message"]["content"] == "Paris."
    assert (told["model"], told["id"]) == ("cache", f"chatcmpl-{headers['x-highwayman-decision']}")
    assert told["usage"] == {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert (headers["x-highwayman-arm"], headers["x-highwayman-similarity"]) == ("cache", "1.0000")
    assert int(headers["age"]) < 60
    decision = await served.router.decision(headers["x-highwayman-decision"])
    assert (decision["arms"], decision["mode"], decision["propensity"]) == (["a", "cache"], "route", 1.0)
    assert decision["context"]["flags"] == ["similarity:1.0000", "stored_by:a", f"stored_from:{first}"]
    outcome = decision["outcome"]
    assert (outcome["arm"], outcome["status"], outcome["cost_usd"]) == ("cache", "ok", 0.0)
    assert 0 < outcome["latency_s"] < 5


async def test_stored_answers_have_no_server_that_could_be_down(served: Served) -> None:
    _, policy = await served.router.get("/v1/policy")
    unwell = {name: arm["unwell"] for name, arm in policy["arms"].items()}
    assert unwell == {"a": None, "cache": None, "cache-semantic": None}


async def test_a_stored_answer_is_streamed_and_a_streamed_one_is_stored(served: Served) -> None:
    body = ask("Which city is it, streamed?", stream=True, stream_options={"include_usage": True})
    await served.teach(body)
    streamed, headers = await served.ask(body)
    events = [line.removeprefix(b"data: ") for line in streamed.split(b"\n") if line]
    chunks = [json.loads(event) for event in events[:-1]]
    assert (headers["x-highwayman-arm"], events[-1]) == ("cache", b"[DONE]")
    assert chunks[0]["choices"][0]["delta"]["content"] == "Paris."
    assert chunks[0]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 2
    whole, _ = await served.ask(ask("Which city is it, streamed?"))
    assert json.loads(whole)["choices"][0]["message"]["content"] == "Paris."


async def test_completions_have_stored_answers_too(served: Served) -> None:
    body = {"model": "auto", "prompt": "The capital of France is"}
    await served.teach(body, path="/v1/completions")
    answer, headers = await served.ask(body, path="/v1/completions")
    assert (headers["x-highwayman-arm"], json.loads(answer)["choices"][0]["text"]) == ("cache", "Paris.")


async def test_a_thumb_on_a_stored_answer_teaches_the_arm_that_gave_it_again(served: Served) -> None:
    await served.teach(ask("Who wrote Faust?"))
    _, headers = await served.ask(ask("Who wrote Faust?"))
    decision_id = headers["x-highwayman-decision"]
    said = {"decision_id": decision_id, "metric": "thumbs", "value": False}
    assert (await served.router.post("/v1/feedback", said))[0] == 200
    view = await served.router.policy_until("cache", feedback=1)
    assert (view["arms"]["cache"]["quality"], view["arms"]["cache"]["cost_usd"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Name a warm colour.", {"temperature": 0.9}),
        ("How do bees find flowers?", {"n": 2}),
        ("Translate 'house' into Latin.", {"logprobs": True}),
        ("Why is the sky blue?", {"max_tokens": 5}),
        ("Summarise the plot of Hamlet.", {"model": "auto-quality"}),
        ("Which train leaves first?", {"tools": [TOOL]}),
    ],
)
async def test_a_request_for_something_else_is_not_given_what_is_stored(
    served: Served, text: str, other: dict[str, Any]
) -> None:
    await served.teach(ask(text))
    assert await served.arm_of({**ask(text), **other}) == "a"
    if "max_tokens" in other or "model" in other:
        served.stored += 1


async def test_images_client_tasks_named_arms_and_callers_who_want_none_get_no_stored_answer(served: Served) -> None:
    text = "Describe the river that flows through Paris."
    await served.teach(ask(text))
    url = {"type": "image_url", "image_url": {"url": "https://example.org/seine.png"}}
    picture = {"model": "auto", "messages": [{"role": "user", "content": [{"type": "text", "text": text}, url]}]}
    assert await served.arm_of(picture) == "a"
    assert await served.arm_of(ask(text), {"x-highwayman-task": "title_generation"}) == "a"
    assert await served.arm_of(ask(text), {"cache-control": "no-cache"}) == "a"
    assert await served.arm_of(ask(text, model="a")) == "a"
    assert await served.arm_of(ask(text)) == "cache"


async def test_who_asks_the_same_again_soon_is_given_another_answer_than_their_own(served: Served) -> None:
    body = ask("Tell me a story about a fox.", user="bob")
    await served.teach(body)
    assert await served.arm_of(body) == "a"
    assert await served.arm_of({**body, "user": "ann"}) == "cache"


@pytest.mark.parametrize("reason", ["length", "tool_calls"])
async def test_an_answer_that_was_cut_off_or_calls_a_tool_is_not_stored(served: Served, reason: str) -> None:
    served.upstream.script(ANY, Say("Par", finish_reason=reason))
    body = ask(f"What ends with {reason}?")
    await served.ask(body)
    served.upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
    await served.teach(body)
    answer, headers = await served.ask(body)
    assert (headers["x-highwayman-arm"], json.loads(answer)["choices"][0]["message"]["content"]) == ("cache", "Paris.")


async def test_no_store_is_heeded(served: Served) -> None:
    body = ask("Is this a secret?")
    await served.ask(body, {"cache-control": "no-store"})
    await served.teach(body)
    assert await served.arm_of(body) == "cache"


async def test_a_question_much_like_another_is_given_its_answer_and_policies_are_told_how_like_it_is(
    served: Served,
) -> None:
    await served.teach(ask("Please tell me the boiling point of water at sea level"))
    like = ask("Please tell me what the boiling point of water is at sea level")
    _, headers = await served.ask(like)
    assert headers["x-highwayman-arm"] == "cache-semantic"
    similarity = float(headers["x-highwayman-similarity"])
    assert 0.8 < similarity < 1.0
    decision = await served.router.decision(headers["x-highwayman-decision"])
    assert decision["arms"] == ["a", "cache-semantic"]
    assert decision["context"]["tags"] == {"answer_cache": int((similarity - 0.8) / 0.2 * 3)}
    assert f"similarity:{similarity:.4f}" in decision["context"]["flags"]


async def test_like_questions_under_other_instructions_or_with_other_numbers_are_other_questions(
    served: Served,
) -> None:
    await served.teach(ask("How far is it to the moon from here in kilometres?"))
    like = "How far is it to the moon from here in kilometres, please?"
    assert await served.arm_of(ask(like)) == "cache-semantic"
    told = {"model": "auto", "messages": [{"role": "system", "content": "Be brief."}, *ask(like)["messages"]]}
    await served.teach(told)
    await served.teach(ask("How far is it to the 2 moons from here in kilometres?"))


async def test_what_is_stored_and_how_it_is_found_hold_nothing_of_the_question(served: Served) -> None:
    await served.teach(ask("Xylophone zebra quagmire?", user="carla"))
    keys = Keys(served.namespace)
    held = [await served.redis.get(name) async for name in served.redis.scan_iter(keys("answer", "*"))]
    rows = await served.redis.xrange(keys("answers"))
    held += [data for _, fields in rows for data in fields.values()]
    assert held
    assert all(word not in data.lower() for data in held for word in (b"xylophone", b"zebra", b"carla"))


@pytest.mark.parametrize("which", ["the first", "the one given again"])
async def test_an_answer_that_somebody_found_bad_is_not_given_again(served: Served, which: str) -> None:
    body = ask(f"Sing a song for {which}!")
    decision_id = await served.teach(body)
    _, headers = await served.ask(body)
    assert headers["x-highwayman-arm"] == "cache"
    again = headers["x-highwayman-decision"]
    about = decision_id if which == "the first" else again
    for value in (True, False):
        said = {"decision_id": about, "metric": "thumbs", "value": value}
        assert (await served.router.post("/v1/feedback", said))[0] == 200
        if value:
            assert await served.arm_of(body) == "cache"
    async with asyncio.timeout(10):  # it is forgotten beside the requests
        while await served.arm_of(body, {"cache-control": "no-store"}) == "cache":
            await asyncio.sleep(0.002)
    await served.teach(body)
    assert await served.arm_of(body) == "cache"


async def test_an_answer_that_was_found_bad_while_it_came_is_not_stored(served: Served) -> None:
    body, hold = {**ask("told in time"), "stream": True}, asyncio.Event()
    served.upstream.script(ANY, Say("Worse.", hold=hold))
    async with served.router.http.post(PATH, json=body) as response:
        said = {"decision_id": response.headers["x-highwayman-decision"], "metric": "thumbs", "value": False}
        async with served.router.http.post("/v1/feedback", json=said) as told:
            assert told.status == 200
        hold.set()
        await response.read()
    served.stored += 1
    served.upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
    async with asyncio.timeout(10):
        while await served.redis.xlen(Keys(served.namespace)("answers")) < served.stored:
            await asyncio.sleep(0.002)
        while await served.arm_of(body, {"cache-control": "no-store"}) != "a":
            await asyncio.sleep(0.002)
