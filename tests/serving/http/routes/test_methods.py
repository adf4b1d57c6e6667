"""Addresses, methods and paths that users try, at a started router."""

from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm("a", upstream.url)], valkey_url, module_namespace, api_keys=frozenset({"k-1"})) as started,
    ):
        started.http.headers["api-key"] = "k-1"  # as Azure's clients send it
        yield started


async def test_azures_client_asks_for_a_deployment_with_its_own_header(router: Router) -> None:
    async with openai.AsyncAzureOpenAI(azure_endpoint=router.url, api_key="k-1", api_version="2024-10-21") as client:
        answer = await client.chat.completions.create(model="a", messages=[{"role": "user", "content": "hi"}])
    assert (answer.model, answer.choices[0].message.content) == ("a", "Hello from upstream.")


async def test_a_path_that_names_the_model_needs_none_in_the_body(router: Router) -> None:
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    path = "/openai/deployments/a/chat/completions?api-version=2024-10-21"
    async with router.http.post(path, json=body) as response:
        assert response.status == 200
        assert (await response.read()).endswith(b"data: [DONE]\n\n")
        decision = await router.decision(response.headers["x-highwayman-decision"])
    assert decision["mode"] == "forced"


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/chat/completions", "/v1/v1/chat/completions"])
async def test_a_chat_is_found_where_people_look_for_it(path: str, router: Router) -> None:
    assert (await router.post(path, ask()))[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/v1/models/a/", "/v1/policy"])
async def test_head_is_get_without_a_body(path: str, router: Router) -> None:
    async with router.http.head(path) as head, router.http.get(path) as get:
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/chat/completions", "POST, OPTIONS"),
        ("/v1/messages", "POST, OPTIONS"),
        ("/v1/responses", "POST, OPTIONS"),
        ("/v1/models", "GET"),
    ],
)
async def test_options_and_a_refused_method_say_what_a_path_takes(path: str, allowed: str, router: Router) -> None:
    async with router.http.options(path) as response:
        assert (response.status, response.headers["allow"]) == (204, allowed)
    async with router.http.delete(path) as response:
        assert (response.status, response.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/assistants", "/v1/chat/completions"),
        ("/v1/responses/resp_1", "/v1/responses"),
        ("/v1/complete", "/v1/messages"),
        ("/v1/embeddings", "by_name"),
        ("/v1/messages/batches", "allocate"),
        ("/api/tags", "/v1/models"),
        ("/v1/nothing", "/docs"),
    ],
)
async def test_what_is_not_served_says_what_to_take_instead(path: str, instead: str, router: Router) -> None:
    status, told = await router.get(path)
    assert status == 404
    assert instead in told["error"]["message"]
