"""The page of routes describes what the router takes, by the models that check it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from highwayman.env.types import JsonObject
from highwayman.serving.completions.requests.request import BODY_MODELS, parse_chat, parse_completion
from highwayman.serving.http.validation import BadRequest
from scripts.reference.__main__ import FOLDER
from scripts.reference.routes import routes_page
from tests.serving.running_router import Router, arm, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

PARSERS = {"/v1/chat/completions": parse_chat, "/v1/completions": parse_completion}
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.text(min_size=1, max_size=64)},
        optional={"content": st.none() | st.text() | st.lists(st.dictionaries(st.text(), st.text(), max_size=2))},
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture
async def router(valkey_url: str, namespace: str) -> AsyncIterator[Router]:
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("well"))
        async with running_router([arm("a", upstream.url)], valkey_url, namespace) as running:
            yield running


async def test_every_route_is_described_with_what_it_takes_and_how_it_refuses(router: Router) -> None:
    status, document = await router.get("/openapi.json")
    assert status == 200
    for path in ("/v1/chat/completions", "/v1/completions"):
        operation = document["paths"][path]["post"]
        assert {"model", "stream"} < set(schema_of(operation)["properties"])
        assert {"400", "401", "404", "413", "429", "502", "503", "504"} < set(operation["responses"])
        assert "limit of the key" in operation["responses"]["429"]["description"]
    chat = schema_of(document["paths"]["/v1/chat/completions"]["post"])
    assert chat["required"] == ["model", "messages"]
    assert chat["properties"]["messages"]["items"]["required"] == ["role"]
    assert "decision_id" in schema_of(document["paths"]["/v1/feedback"]["post"])["properties"]
    assert schema_of(document["paths"]["/v1/messages"]["post"])["required"] == ["model", "max_tokens", "messages"]
    assert {"messages", "chosen_arm", "probabilities"} < set(
        schema_of(document["paths"]["/v1/route"]["post"])["properties"]
    )
    assert schema_of(document["paths"]["/v1/outcomes"]["post"])["required"] == ["decision_id"]
    assert "post" in document["paths"]["/api/public/ingestion"]  # of another product
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert any(status.startswith("4") for status in operation["responses"]), path
    assert json.dumps(document) == json.dumps((await router.get("/openapi.json"))[1])
    assert (FOLDER / "routes.md").read_text(encoding="utf-8") == routes_page(document), "make reference"


def schema_of(operation: JsonObject) -> Any:
    return operation["requestBody"]["content"]["application/json"]["schema"]


@settings(max_examples=50)
@given(MESSAGES)
def test_messages_that_follow_the_document_are_taken(messages: list[JsonObject]) -> None:
    request = parse_chat(json.dumps({"model": "auto", "messages": messages}).encode())
    assert len(request.body["messages"]) == len(messages)


@pytest.mark.parametrize("path", BODY_MODELS)
def test_what_the_document_says_is_needed_is_needed(path: str) -> None:
    needed = BODY_MODELS[path].model_json_schema()["required"]
    for name in needed:
        with pytest.raises(BadRequest, match=f"{name}: Field required"):
            PARSERS[path](json.dumps({other: "x" for other in needed if other != name}).encode())
