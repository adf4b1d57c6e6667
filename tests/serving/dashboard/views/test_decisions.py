"""The pages of decisions, as a running router shows them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = "/dashboard/decisions"
CONFIG = {"context": {"app": {"from": "header:x-app", "levels": ["mail", "code"]}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[Router, list[str]]]:
    """A router that has decided three times: drawn, named, and for code; the first two in one conversation."""
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
        arms = [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=100.0)]
        async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as router:
            names = [await post(router, "auto", conversation="c"), await post(router, "large", conversation="c")]
            names.append(await post(router, "auto", app="code"))
            for name in names:
                await router.decision(name)
            yield router, names


async def post(router: Router, model: str, *, app: str = "", conversation: str = "") -> str:
    headers = {"x-app": app, "x-conversation-id": conversation}
    sent = {name: value for name, value in headers.items() if value}
    async with router.http.post("/v1/chat/completions", json=ask(model=model), headers=sent) as response:
        return response.headers["x-highwayman-decision"]


async def page(router: Router, path: str = "", **form: Any) -> tuple[int, str]:
    method = "POST" if form else "GET"
    async with router.http.request(method, PAGES + path, data=form, headers={"accept": "text/html"}) as response:
        return response.status, await response.text()


async def test_the_list_shows_what_the_address_asks_for_and_says_what_is_wrong_with_it(
    asked: tuple[Router, list[str]],
) -> None:
    router, (drawn, named, coded) = asked
    status, text = await page(router)
    assert status == 200
    assert text.index(coded) < text.index(named) < text.index(drawn)
    assert "most probable of 2" in text
    status, text = await page(router, "?mode=forced&arm=&tag=&since=")
    assert (named in text, drawn in text) == (True, False)
    status, text = await page(router, "?tag=app:code&limit=1")
    assert (coded in text, drawn in text) == (True, False)
    status, text = await page(router, "?limit=1&tenant=default")
    assert f'{PAGES}/{coded}?tenant=default"' in text
    assert "after=" in text
    status, text = await page(router, "?status=gone")
    assert (status, "status: must be one of" in text) == (400, True)
    status, text = await page(router, "?since=1796097586000")
    assert (status, "in seconds and not in milliseconds" in text) == (400, True)


async def test_a_page_explains_the_draw_the_call_and_the_conversation(asked: tuple[Router, list[str]]) -> None:
    router, (drawn, named, _) = asked
    status, text = await page(router, f"/{drawn}")
    assert status == 200
    for said in ("was drawn with probability", "part, between", "Where in it is not on the log", "answered", named):
        assert said in text, said
    assert "retention.prompts" in text
    assert "capital of France" not in text
    status, text = await page(router, f"/chatcmpl-{named}")
    assert (status, "Nothing was drawn" in text, "teaches nobody" in text) == (200, True, True)
    assert (await page(router, "/hw-nothing"))[0] == 404


async def test_the_operators_thumb_stands_under_a_source_of_its_own_until_it_is_taken_back(
    asked: tuple[Router, list[str]],
) -> None:
    router, (drawn, *_) = asked
    status, text = await page(router, f"/{drawn}/thumb", value="up")
    assert (status, 'value="up" id="up" aria-pressed="true"' in text) == (200, True)
    shown = await router.decision(drawn, feedback=1)
    assert [(part["source"], part["metric"], part["value"]) for part in shown["feedback"]] == [
        ("operator", "thumbs", 1)
    ]
    await page(router, f"/{drawn}/thumb", value="down")
    status, text = await page(router, f"/{drawn}/thumb", value="back")
    assert 'aria-pressed="true"' not in text.partition("Your thumb")[2]
    shown = await router.decision(drawn, feedback=3)
    assert [part["standing"] for part in shown["feedback"]] == ["replaced", "replaced", "taken_back"]
    assert shown["reward"] is None
    assert (await page(router, f"/{drawn}/thumb", value="sideways"))[0] == 422
