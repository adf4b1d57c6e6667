"""Decisions of a running router: a page at a time, filtered, and each explained."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyStore
from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
CONFIG = {"context": {"app": {"from": "header:x-app", "levels": ["mail", "code"]}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[Router, list[dict[str, str]]]]:
    """A router that has decided seven times: five drawn, two of them for code, one rated; one named; one refused."""
    async with ScriptedUpstream() as upstream:
        upstream.script(ANY, Say("Paris.", tokens_in=9, tokens_out=2))
        narrow = arm("narrow", upstream.url, window=20)
        arms = [arm("small", upstream.url, price=0.1), arm("large", upstream.url, price=100.0), narrow]
        async with running_router(arms, valkey_url, module_namespace, config=CONFIG) as router:
            headers = [await post(router, n, app) for n, app in enumerate(("", "code", "mail", "code", ""))]
            headers.append(await post(router, 5, model="small"))
            upstream.script(ANY, Fail(400))
            headers.append(await post(router, 6, model="large"))
            thumb = {"decision_id": headers[0]["x-highwayman-decision"], "value": True}
            assert (await router.post("/v1/feedback", thumb))[0] == 200
            for each in headers:
                await router.decision(each["x-highwayman-decision"], feedback=int(each is headers[0]))
            yield router, headers


async def post(router: Router, n: int, app: str = "", *, model: str = "auto") -> dict[str, str]:
    body = ask(f"Question {n}? " + "word " * 40, model=model)
    async with router.http.post(CHAT, json=body, headers={"x-app": app} if app else {}) as response:
        return {name.lower(): value for name, value in response.headers.items()}


async def page(router: Router, **parts: object) -> dict[str, Any]:
    status, shown = await router.get(f"/v1/decisions?{urlencode(parts)}")
    assert status == 200, shown
    return dict(shown)


async def test_decisions_come_newest_first_and_page_by_page_each_once(
    asked: tuple[Router, list[dict[str, str]]],
) -> None:
    router, headers = asked
    first = await page(router, limit=3)
    assert first["has_more"]
    rest = await page(router, limit=100, after=first["next"])
    assert not rest["has_more"]
    shown = [decision["id"] for decision in first["data"] + rest["data"]]
    assert shown == [each["x-highwayman-decision"] for each in reversed(headers)]


@pytest.mark.parametrize(
    ("parts", "places"),
    [
        ({"mode": "forced"}, [6, 5]),
        ({"status": "refused"}, [6]),
        ({"feedback": "true"}, [0]),
        ({"tag": "app:code"}, [3, 1]),
        ({"tag": "app"}, [3, 2, 1]),
        ({"tag": "app:code", "feedback": "true"}, []),
        ({"since": "2999-01-01"}, []),
        ({"until": "1.5"}, []),
    ],
)
async def test_filters_say_which_decisions_are_shown(
    asked: tuple[Router, list[dict[str, str]]], parts: dict[str, str], places: list[int]
) -> None:
    router, headers = asked
    shown = await page(router, **parts)
    assert [d["id"] for d in shown["data"]] == [headers[place]["x-highwayman-decision"] for place in places]


async def test_an_arm_is_found_and_so_is_a_time_between_two_decisions(
    asked: tuple[Router, list[dict[str, str]]],
) -> None:
    router, _ = asked
    everything = (await page(router))["data"]
    for name in ("small", "large"):
        shown = (await page(router, arm=name))["data"]
        assert [d["id"] for d in shown] == [d["id"] for d in everything if name in (d["arm"], d["served_by"])]
    middle = everything[3]["at"]
    assert len((await page(router, since=repr(middle)))["data"]) == 4
    assert len((await page(router, until=repr(middle)))["data"]) == 4


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"limit": "0"}, "limit: must be a whole number from 1 to 100"),
        ({"mode": "routed"}, "mode: must be one of route"),
        ({"armm": "small"}, "did you mean 'arm'"),
        ({"after": "x"}, "after: must be what `next`"),
        ({"since": "yesterday"}, "since: must be seconds since 1970"),
        ({"tag": "team"}, "'team' is not declared"),
        ({"tag": "app:play"}, "app has no level 'play'"),
    ],
)
async def test_a_filter_that_cannot_be_followed_is_named(
    asked: tuple[Router, list[dict[str, str]]], parts: dict[str, str], words: str
) -> None:
    status, answer = await asked[0].get(f"/v1/decisions?{urlencode(parts)}")
    assert (status, answer["error"]["param"]) == (400, next(iter(parts)))
    assert words in answer["error"]["message"]


async def test_a_decision_gives_each_candidates_numbers_and_why_others_were_out(
    asked: tuple[Router, list[dict[str, str]]],
) -> None:
    router, headers = asked
    shown = await router.decision(headers[0]["x-highwayman-decision"])
    assert shown["candidates"].keys() == {"small", "large"}
    for name, numbers in shown["candidates"].items():
        place = shown["arms"].index(name)
        assert (numbers["probability"], numbers["penalty"]) == (shown["probs"][place], shown["penalties"][place])
        assert numbers["utility"] == numbers["expected_quality"] - numbers["penalty"]
        assert numbers["deviation"] > 0
    assert shown["candidates"]["small"]["expected_usd"] < shown["candidates"]["large"]["expected_usd"]
    assert shown["left_out"] == {"narrow": "its window of 20 tokens is smaller than the prompt"}
    assert f"{shown['arm']} was drawn with probability" in shown["why"]


async def test_a_named_arm_is_explained_by_the_caller(asked: tuple[Router, list[dict[str, str]]]) -> None:
    router, headers = asked
    shown = await router.decision(headers[5]["x-highwayman-decision"])
    assert shown["why"] == "The caller named small; no policy was asked."
    assert shown["left_out"] == dict.fromkeys(("large", "narrow"), "the caller named small")


async def test_no_prompt_is_in_what_is_shown(asked: tuple[Router, list[dict[str, str]]]) -> None:
    router, headers = asked
    texts = [str(await page(router)), str(await router.decision(headers[0]["x-highwayman-decision"]))]
    assert not any("Question" in text or "word" in text for text in texts)


async def test_pages_of_any_size_show_each_decision_once(asked: tuple[Router, list[dict[str, str]]]) -> None:
    router, headers = asked
    for limit in (1, 2):
        shown: list[str] = []
        after: dict[str, str] = {}
        while True:
            got = await page(router, limit=limit, **after)
            shown += [decision["id"] for decision in got["data"]]
            if not got["has_more"]:
                break
            after = {"after": got["next"]}
        assert shown == [each["x-highwayman-decision"] for each in reversed(headers)]


async def test_a_key_lists_its_tenants_decisions_alone_and_only_with_the_scope_for_it(
    valkey_url: str, namespace: str
) -> None:
    async with connect(valkey_url) as client:
        keys = KeyStore(client, namespace, Store(client, namespace))
        (_, mine), (_, theirs) = [
            await keys.add(KeyGrant(tenant, tenant, ("answers", "admin")), at=0.0) for tenant in ("one", "two")
        ]
        _, plain = await keys.add(KeyGrant("plain", "one", ("answers",)), at=0.0)
    async with (
        ScriptedUpstream() as upstream,
        running_router([arm("a", upstream.url)], valkey_url, namespace) as router,
    ):
        as_mine, as_theirs, as_plain = ({"authorization": f"Bearer {key}"} for key in (mine, theirs, plain))
        async with router.http.post(CHAT, json=ask(), headers=as_mine) as response:
            decision_id = response.headers["x-highwayman-decision"]
        for headers, expected in ((as_mine, (200, [decision_id])), (as_theirs, (200, [])), (as_plain, (403, []))):
            async with router.http.get("/v1/decisions", headers=headers) as response:
                shown = await response.json()
                assert (response.status, [decision["id"] for decision in shown.get("data", ())]) == expected
