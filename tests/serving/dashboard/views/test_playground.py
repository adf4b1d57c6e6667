"""The playground of a running router: its questions are traffic, its thumbs teach."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream, Stall

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = "/dashboard/playground"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playground(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[Router, ScriptedUpstream]]:
    async with ScriptedUpstream() as upstream:
        arms = [arm("small", upstream.url), arm("large", upstream.url)]
        async with running_router(arms, valkey_url, module_namespace) as router:
            yield router, upstream


async def asked(router: Router, model: str = "auto") -> tuple[str, str]:
    """The decision's id, and the stream."""
    async with router.http.post(f"{PAGE}/ask", json=ask(model=model, stream=True)) as response:
        assert response.status == 200
        return response.headers["x-highwayman-decision"], await response.text()


async def part(router: Router, path: str, **form: str) -> str:
    async with router.http.request("POST" if form else "GET", f"{PAGE}/{path}", data=form) as response:
        assert response.status == 200
        return await response.text()


async def test_a_question_is_answered_as_it_comes_and_decided_like_any_clients(
    playground: tuple[Router, ScriptedUpstream],
) -> None:
    router, upstream = playground
    upstream.script(ANY, Say("Paris."))
    async with router.http.get(PAGE) as response:
        text = await response.text()
    assert "traffic like any other" in text
    assert all(f"<option>{name}</option>" in text for name in ("auto", "small", "large"))
    decision_id, stream = await asked(router)
    assert "Paris" in stream
    assert stream.rstrip().endswith("[DONE]")
    assert (await router.decision(decision_id))["mode"] == "route"


async def test_after_a_thumb_the_part_says_by_how_much_what_is_expected_has_moved(
    playground: tuple[Router, ScriptedUpstream],
) -> None:
    router, upstream = playground
    upstream.script(ANY, Say("Paris."))
    decision_id, _ = await asked(router)
    await router.decision(decision_id)
    assert "Moved by" not in await part(router, decision_id)
    text = await part(router, f"{decision_id}/thumb", value="up")
    assert "Moved by" in text
    address = text.partition('hx-get="')[2].partition('"')[0].removeprefix(f"{PAGE}/")
    async with asyncio.timeout(3):
        while "is on its way" in text:
            await asyncio.sleep(0.05)
            text = await part(router, address)
    assert 'class="good">+0.' in text
    assert "every 1s" not in text
    assert "Moved by" not in await part(router, f"{decision_id}?before=1_x")


async def test_a_preference_between_two_answers_is_filed_and_says_whether_it_teaches(
    playground: tuple[Router, ScriptedUpstream],
) -> None:
    router, upstream = playground
    upstream.script(ANY, Say("Paris."))
    (one, _), (other, _) = [await asked(router, name) for name in ("small", "large")]
    assert "does not learn from preferences" in await part(
        router, "preference", decision_id=one, other=other, value="this"
    )
    (said,) = (await router.decision(one, feedback=1))["feedback"]
    assert (said["source"], said["metric"], said["value"], said["other"]) == ("operator", "preference", 1.0, "large")
    assert "teaches nobody" in await part(router, one)


async def test_what_fails_is_told_in_words_and_whoever_leaves_ends_the_call(
    playground: tuple[Router, ScriptedUpstream],
) -> None:
    router, upstream = playground
    upstream.script(ANY, Fail(500))
    status, answer, headers = await router.post(f"{PAGE}/ask", ask(stream=True))
    assert (status, "answered 500" in answer["error"]["message"]) == (502, True)
    await router.decision(headers["x-highwayman-decision"])
    assert "failed: answered 500" in await part(router, headers["x-highwayman-decision"])
    upstream.reset()
    upstream.script(ANY, Stall())
    async with router.http.post(f"{PAGE}/ask", json=ask(stream=True)) as response:
        decision_id = response.headers["x-highwayman-decision"]
        await response.content.readany()
    assert (await router.decision(decision_id))["outcome"]["status"] == "client_gone"
