"""What requests say under declared tags, up to the decision on the log."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import redis.asyncio as aioredis

from highwayman.env.encoder.features.tags import ENOUGH, Tag
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.completions.requests.tag_reader import TagReader
from highwayman.serving.config.context import TagConfig
from highwayman.serving.state.level_table import LevelTable
from tests.serving.running_router import arm, ask, running_router
from tests.upstream_server import ScriptedUpstream

LEVELS = ["maths", "code"]
ANN = Principal("acme", key_id="k1")
SYSTEM = {"role": "system", "content": [{"type": "text", "text": "maths"}]}


def read(source: str, *, headers: Mapping[str, str] | None = None, **body: Any) -> tuple[tuple[str, int], ...]:
    declared = TagConfig.model_validate({"from": source, "levels": [*LEVELS, "k1", "acme"]})
    table = LevelTable(connect("redis://127.0.0.1:1", timeout_s=0.1), "unused")
    reader = TagReader({declared.tag("tag"): declared.place()}, table, secret=lambda: b"secret")
    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return reader.read({"type": "http", "headers": raw}, body, ANN)


@pytest.mark.parametrize(
    ("source", "request_parts", "place"),
    [
        ("header:X-Task", {"headers": {"x-task": " code "}}, 1),
        ("header:X-Task", {"headers": {"x-task": "poems"}}, 4),
        ("metadata:task", {"metadata": {"task": "maths"}}, 0),
        ("app", {"headers": {"HTTP-Referer": "code"}}, 1),
        ("key", {}, 2),
        ("tenant", {}, 3),
        ("system_prompt", {"messages": [SYSTEM, {"role": "user", "content": "code"}]}, 0),
    ],
)
async def test_a_tag_is_read_where_it_is_declared_to_stand(
    source: str, request_parts: dict[str, Any], place: int
) -> None:
    assert read(source, **request_parts) == (("tag", place),)


@pytest.mark.parametrize(
    ("source", "request_parts"),
    [
        ("header:x-task", {"headers": {"x-task": "  "}}),
        ("metadata:task", {"metadata": {"task": 3}}),
        ("metadata:task", {"metadata": "task"}),
        ("system_prompt", {"messages": [{"role": "user", "content": "maths"}]}),
        ("system_prompt", {"prompt": "maths"}),
        ("app", {}),
    ],
)
async def test_a_request_that_says_nothing_has_no_level(source: str, request_parts: dict[str, Any]) -> None:
    assert read(source, **request_parts) == ()


async def test_a_level_that_nobody_declared_is_kept_as_a_digest_alone(
    redis_client: aioredis.Redis, namespace: str
) -> None:
    table = LevelTable(redis_client, namespace)
    reader = TagReader({Tag("app"): ("app", "")}, table, secret=lambda: b"secret")
    scope = {"type": "http", "headers": [(b"x-title", b"Ann's diary")]}
    for _ in range(ENOUGH):
        reader.read(scope, {}, ANN)
    await table.sync()
    assert reader.read(scope, {}, ANN) == (("app", 0),)
    stored = [await redis_client.hgetall(key) async for key in redis_client.scan_iter(f"*{{{namespace}}}*")]
    assert len(stored) == 1
    assert b"diary" not in str(stored).encode()


async def test_the_decision_on_the_log_has_the_tags_columns_and_a_named_call_its_own(
    redis_client: aioredis.Redis, valkey_url: str, namespace: str
) -> None:
    config = {
        "context": {"task": {"from": "metadata:task", "levels": LEVELS}, "app": {"from": "app", "slots": 2}},
        "policy": {"learns_from_named_calls": True},
    }
    async with ScriptedUpstream() as upstream, running_router(
        [arm("small", upstream.url), arm("large", upstream.url)], valkey_url, namespace, config=config
    ) as router:  # fmt: skip
        asked = [ask(metadata={"task": "code"}), ask(model="large", metadata={"task": "poems"}), ask()]
        ids = [(await router.post("/v1/chat/completions", body))[2]["x-highwayman-decision"] for body in asked]
        views = [await router.decision(decision_id) for decision_id in ids]
        for decision_id in ids[:2]:
            await router.post("/v1/feedback", {"decision_id": decision_id, "value": True})
        await router.policy_until(views[0]["arm"], feedback=1 + (views[0]["arm"] == "large"))
        async with asyncio.timeout(10):  # an app that comes often is told apart, with nothing declared of it
            apps = [2]
            while apps[-1] != 0:
                async with router.http.post(
                    "/v1/chat/completions", json=ask(), headers={"X-Title": "editor"}
                ) as answer:
                    decision_id = answer.headers["x-highwayman-decision"]
                apps.append((await router.decision(decision_id))["context"]["tags"]["app"])
        assert set(apps) == {2, 0}
        assert len(apps) > ENOUGH
        records = [await Store(redis_client, namespace).record(decision_id) for decision_id in ids]
    tagged, named, plain = (record.decision for record in records)
    assert tagged is not None
    assert named is not None
    assert plain is not None
    assert [view["context"]["tags"] for view in views] == [{"task": 1}, {"task": 2, "named_call": 0}, {}]
    assert tagged.context.features[:8].tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    assert named.context.features[:8].tolist() == [0, 0, 1, 0, 0, 0, 1, 0]
    assert (tagged.context.features[8:] == plain.context.features[8:]).all()
    assert len(plain.context.features) == views[0]["context"]["features"]
