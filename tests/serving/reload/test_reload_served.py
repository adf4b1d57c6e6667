"""Configuration and pool change while requests go on: through two started routers, on one namespace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import yaml

from highwayman.env.types import Control
from highwayman.serving.reload.config_files import ConfigFiles
from tests.serving.running_router import Router, ask, log_of, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL: dict[str, Any] = {"tournament": {"guard": False}}
WITHIN_S = 2.0  # every replica has a change: the promise


@dataclass
class World:
    """Two replicas, and the files that they were started with."""

    redis_url: str
    namespace: str
    upstream: ScriptedUpstream
    folder: Path
    replicas: list[Router] = field(default_factory=list)

    def arm(self, **keys: Any) -> dict[str, Any]:
        prices = {"usd_per_mtok_in": 1.0, "usd_per_mtok_out": 1.0}
        return {"endpoint": self.upstream.url, "model": "m", "context_window_tokens": 4096, **prices, **keys}

    def write(self, arms: dict[str, Any], **config: Any) -> ConfigFiles:
        (self.folder / "pool.yaml").write_text(yaml.safe_dump({"arms": arms}))
        (self.folder / "highwayman.yaml").write_text(yaml.safe_dump({"namespace": self.namespace, **SMALL, **config}))
        return ConfigFiles(self.folder / "pool.yaml", self.folder / "highwayman.yaml")

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        status, answer, _ = await self.replicas[0].post(path, body)
        return status, answer

    async def pools(self) -> list[dict[str, Any]]:
        return [(await replica.get("/v1/admin/pool"))[1] for replica in self.replicas]

    async def until_everywhere(self, **wanted: Any) -> None:
        """Return once every replica says this of an arm, by its name; None: it has no such arm."""
        async with asyncio.timeout(WITHIN_S):
            while not all(
                _matches(pool["arms"].get(name), keys) for pool in await self.pools() for name, keys in wanted.items()
            ):
                await asyncio.sleep(0.02)

    async def told(self) -> list[Control]:
        return [event for event in await log_of(self.redis_url, self.namespace) if isinstance(event, Control)]


def _matches(arm: dict[str, Any] | None, keys: dict[str, Any] | None) -> bool:
    return arm is None if keys is None else arm is not None and keys.items() <= arm.items()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream())
        upstream.script(ANY, Say("Paris."))
        here = World(valkey_url, uuid4().hex, upstream, tmp_path_factory.mktemp("files"))
        loaded = here.write({"a": here.arm(), "b": here.arm()}).load()
        for _ in range(2):
            here.replicas.append(
                await stack.enter_async_context(
                    running_router(loaded.pool.arms, valkey_url, here.namespace, config=SMALL, loaded=loaded)
                )
            )
        yield here


async def test_a_price_in_the_pool_file_is_in_force_in_every_replica_once_one_of_them_is_told_to_reload(
    world: World,
) -> None:
    world.write({"a": world.arm(usd_per_mtok_in=3.0), "b": world.arm()})
    status, answer = await world.post("/v1/admin/reload")
    assert status == 200, answer
    assert answer["changed"]["pool.a.usd_per_mtok_in"] == [1.0, 3.0]
    await world.until_everywhere(a={"usd_per_mtok_in": 3.0})
    events = await world.told()
    assert {"arm": "a", "usd_per_mtok_in": 3.0, "usd_per_mtok_out": 1.0, "by": "API, an operator"} in [
        event.detail for event in events
    ]


async def test_a_file_that_cannot_be_followed_changes_nothing_and_says_why_in_the_answer_and_once_on_the_log(
    world: World,
) -> None:
    before = await world.pools()
    world.write({"a": world.arm(usd_per_mtok_inn=3.0), "b": world.arm()})
    for _ in range(2):
        status, answer = await world.post("/v1/admin/reload")
        assert status == 400
        assert "pool.yaml:" in answer["error"]["message"]
        assert "did you mean 'usd_per_mtok_in'?" in answer["error"]["message"]
    assert [pool["arms"] for pool in await world.pools()] == [pool["arms"] for pool in before]
    refused = [event.detail for event in await world.told() if "refused" in event.detail]
    assert len(refused) == 1
    assert "usd_per_mtok_inn" in refused[0]["refused"]
    assert refused[0]["by"] == "API, an operator"


async def test_keys_that_cannot_change_are_named_and_the_others_change_all_the_same(world: World) -> None:
    world.write(
        {"a": world.arm(), "b": world.arm()},
        objective={"points_per_usd": {"auto": 123.0}},
        policy={"name": "LinUCB"},
        limits={"body_bytes": 2048, "redis_s": 0.2},
    )
    status, answer = await world.post("/v1/admin/reload")
    assert status == 200, answer
    assert [*answer["needs_restart"]] == ["limits.redis_s", "policy.name"]
    assert answer["changed"]["objective.points_per_usd.auto"] == [None, 123.0]
    assert all(not key.startswith("policy") for key in answer["changed"])
    async with asyncio.timeout(WITHIN_S):
        for replica in world.replicas:
            while (await replica.get("/v1/policy"))[1]["objectives"]["auto"]["points_per_usd"] != 123.0:
                await asyncio.sleep(0.02)
            assert (await replica.get("/v1/policy"))[1]["policy"] == "HierTS"
            assert (await replica.post("/v1/chat/completions", ask("x" * 4000)))[0] == 413
            assert (await replica.post("/v1/chat/completions", ask("Hello.")))[0] == 200
    world.write({"a": world.arm(), "b": world.arm()})
    assert (await world.post("/v1/admin/reload"))[1]["needs_restart"] == []
