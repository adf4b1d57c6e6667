"""The page of routes, at a started router: it needs nothing from elsewhere, and forbids it."""

import re
from collections.abc import AsyncIterator
from html import unescape

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, running_router

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one router answers all


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(valkey_url: str, module_namespace: str) -> AsyncIterator[Router]:
    async with running_router([arm("a", "http://127.0.0.1:1")], valkey_url, module_namespace) as started:
        yield started


async def test_the_page_of_routes_lists_every_one_and_loads_nothing(router: Router) -> None:
    _, document = await router.get("/openapi.json")
    async with router.http.get("/docs") as response:
        page, headers = await response.text(), response.headers
    assert (response.status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    shown = [unescape(text) for text in re.findall(r"<summary><code>(.*?)</code>", page)]
    told = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    assert sorted(shown) == sorted(told)
    assert "decision_id" in page
    for operation in (operation for methods in document["paths"].values() for operation in methods.values()):
        for parameter in operation.get("parameters", ()):
            described = parameter.get("description", "").replace("`", "")
            assert described in unescape(re.sub("</?code>", "", page)), parameter["name"]
    assert re.findall(r"<script|<link|<img|\bsrc=|https?://|\bstyle=|\bon\w+=", page) == []
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]


async def test_a_field_that_cannot_be_read_is_told_as_every_other_error(router: Router) -> None:
    status, body, _ = await router.post("/v1/tournament/promote/x?at_once=perhaps", {})
    assert (status, body["error"]["code"]) == (400, "invalid_request")
    assert "at_once" in body["error"]["message"]
