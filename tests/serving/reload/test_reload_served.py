"""Configuration and pool change while requests go on: through two started routers, on one namespace."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import yaml
from click.testing import CliRunner

from highwayman.env.types import Control, ControlKind
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Keys, Store
from highwayman.feedback.trust.api_keys import KeyGrant, KeyState, KeyStore
from highwayman.feedback.trust.principal import SCOPES
from highwayman.serving.cli.main import main
from highwayman.serving.reload.config_files import ConfigFiles
from highwayman.serving.reload.shared_state import SharedConfig
from tests.serving.running_router import Router, ask, log_of, running_router
from tests.upstream_server import ANY, Say, ScriptedUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY_S = 0.25  # each of the clients asks
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

    def write(self, arms: dict[str, Any], *, by_name: dict[str, Any] | None = None, **config: Any) -> ConfigFiles:
        (self.folder / "pool.yaml").write_text(yaml.safe_dump({"arms": arms, "by_name": by_name or {}}))
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

    async def command(self, *words: str) -> tuple[int, str]:
        """Return the exit code and what a command said."""
        place = [f"--redis-url={self.redis_url}", f"--namespace={self.namespace}"]
        outcome = await asyncio.to_thread(CliRunner().invoke, main, [*words, *place])
        return outcome.exit_code, outcome.output

    async def told(self) -> list[Control]:
        return [event for event in await log_of(self.redis_url, self.namespace) if isinstance(event, Control)]


def _matches(arm: dict[str, Any] | None, keys: dict[str, Any] | None) -> bool:
    return arm is None if keys is None else arm is not None and keys.items() <= arm.items()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


def two_arms(here: World) -> ConfigFiles:
    return here.write({"a": here.arm(), "b": here.arm()})


@asynccontextmanager
async def two_replicas(
    redis_url: str, folder: Path, write: Callable[[World], ConfigFiles] = two_arms
) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(ScriptedUpstream())
        upstream.script(ANY, Say("Paris."))
        here = World(redis_url, uuid4().hex, upstream, folder)
        loaded = write(here).load()
        for _ in range(2):
            config, named = loaded.config.model_dump(by_alias=True), loaded.pool.named
            router = running_router(
                loaded.pool.arms, redis_url, here.namespace, config=config, loaded=loaded, named=named
            )
            here.replicas.append(await stack.enter_async_context(router))
        yield here


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with two_replicas(valkey_url, tmp_path_factory.mktemp("files")) as here:
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


async def test_who_calls_arms_itself_is_told_of_those_that_are_there_now_at_the_prices_of_now(world: World) -> None:
    arms = {"a": world.arm(), "b": world.arm()}
    for there in (arms, {**arms, "c": world.arm(usd_per_mtok_in=9.0, usd_per_mtok_out=9.0)}, arms):
        world.write(there)
        assert (await world.post("/v1/admin/reload"))[0] == 200
        status, route = await world.post("/v1/route", ask())
        assert status == 200, route
        usd = {each["arm"]: each["expected_usd"] for each in route["candidates"]}
        assert usd.keys() == there.keys()
        assert usd.get("c", 9.0 * usd["a"]) == pytest.approx(9.0 * usd["a"])


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


async def test_what_a_tenant_may_take_and_have_changes_with_a_reload_on_every_replica(world: World) -> None:
    arms, chat = {"a": world.arm(), "b": world.arm()}, "/v1/chat/completions"
    world.write(arms, tenants={"default": {"arms": ["b"], "limits": {"requests_per_minute": 1}}})
    assert (await world.post("/v1/admin/reload"))[0] == 200
    assert [(await replica.post(chat, ask(model="a")))[0] for replica in world.replicas] == [400] * len(world.replicas)
    assert sorted([(await replica.post(chat, ask()))[0] for replica in world.replicas])[:2] == [200, 429]
    world.write({"a": world.arm()}, tenants={"default": {"arms": ["b"]}})
    status, answer = await world.post("/v1/admin/reload")
    assert (status, "tenants.default.arms: there is no arm 'b'" in answer["error"]["message"]) == (400, True)
    world.write(arms)
    assert (await world.post("/v1/admin/reload"))[0] == 200
    assert [(await replica.post(chat, ask(model="a")))[0] for replica in world.replicas] == [200] * len(world.replicas)


async def test_every_key_that_may_change_does_so_for_the_next_request(world: World) -> None:
    arms, one = {"a": world.arm(), "b": world.arm()}, world.replicas[0]

    async def reloaded(**config: Any) -> None:
        world.write(arms, **config)
        status, answer = await world.post("/v1/admin/reload")
        assert (status, answer.get("needs_restart")) == (200, []), answer

    await reloaded(budget={"usd_per_day": 1e-9, "hard": True})
    assert (await one.post("/v1/chat/completions", ask()))[0] == 429
    await reloaded(control={"share": 0.5, "baseline": "b"}, cascade={"signals": ["Refusal"]}, trial={"share": 0.1})
    decisions = [(await one.post("/v1/chat/completions", ask()))[2]["x-highwayman-decision"] for _ in range(3)]
    told = [str(await one.decision(decision)) for decision in decisions]
    assert all("baseline:0.5:" in view for view in told), told
    await reloaded(cors={"allow_origins": ["https://chat.example"]}, feedback={"posts_per_s": 0.001})
    async with one.http.get("/v1/models", headers={"origin": "https://chat.example"}) as response:
        assert response.headers["access-control-allow-origin"] == "https://chat.example"
    said = {"decision_id": decisions[0], "value": True}
    assert [(await one.post("/v1/feedback", said))[0] for _ in range(2)] == [200, 429]
    await reloaded(limits={"messages": 1, "first_byte_s": 0.05})
    assert (await one.post("/v1/chat/completions", {**ask(), "messages": ask()["messages"] * 2}))[0] == 400
    await reloaded()


async def test_a_command_has_every_router_read_its_files_again_and_says_what_changed_and_what_did_not(
    world: World,
) -> None:
    world.write({"a": world.arm(usd_per_mtok_out=7.0), "b": world.arm()}, encoder={"deadline_s": 1.0})
    code, said = await world.command("reload")
    assert code == 0, said
    assert "in force in 2 workers" in said
    assert "pool.a.usd_per_mtok_out: 1.0 -> 7.0" in said
    assert "needs a restart: encoder.deadline_s" in said
    assert [pool["arms"]["a"]["usd_per_mtok_out"] for pool in await world.pools()] == [7.0, 7.0]
    prices = [event for event in await world.told() if event.detail.get("usd_per_mtok_out") == 7.0]
    assert len(prices) == 1, "two workers were told, and each has put it on the log"
    assert "@" in prices[0].detail["by"]

    world.write({"a": world.arm(usd_per_mtok_out="dear"), "b": world.arm()})
    code, said = await world.command("reload")
    assert code == 1
    assert "2 of 2 workers have not taken it" in said
    assert "pool.yaml:" in said
    world.write({"a": world.arm(), "b": world.arm()})
    assert (await world.command("reload"))[0] == 0


async def test_commands_change_arms_of_all_routers_and_the_pool_is_shown_with_who_changed_it(world: World) -> None:
    code, said = await world.command(
        *("pool", "add", "c", f"--endpoint={world.upstream.url}", "--model=c-upstream", "--context-window-tokens=2048"),
        *("--in=5", "--out=6", "--probation", "--set", "tags={zone: eu}"),
    )
    assert code == 0, said
    assert "in force in 2 workers" in said
    assert [pool["arms"]["c"]["state"] for pool in await world.pools()] == ["probation"] * 2
    assert (await world.command("pool", "undrain", "c"))[0] == 0
    assert (await world.command("pool", "price", "c", "--in=2", "--out=3"))[0] == 0
    assert (await world.command("pool", "drain", "b"))[0] == 0
    await world.until_everywhere(
        c={"state": "active", "usd_per_mtok_in": 2.0, "tags": {"zone": "eu"}}, b={"state": "draining"}
    )
    for replica in world.replicas:
        assert (await replica.post("/v1/chat/completions", ask(model="c")))[0] == 200
        assert (await replica.post("/v1/chat/completions", ask(model="b")))[0] == 400
        assert "c" in [model["id"] for model in (await replica.get("/v1/models"))[1]["data"]]
    _, said = await world.command("pool", "show")
    assert "# b: state, by " in said
    assert yaml.safe_load(said)["arms"]["c"]["usd_per_mtok_out"] == 3.0
    for verb, arm in (("remove", "c"), ("reset", "b")):
        assert (await world.command("pool", verb, arm))[0] == 0
    await world.until_everywhere(c=None, b={"model": "m"})
    code, said = await world.command("pool", "drain", "bb")
    assert code == 1
    assert "there is no arm 'bb' (did you mean 'b'?)" in said
    assert (await world.command("pool", "reset", "c"))[0] == 0


async def test_what_was_changed_beside_the_file_outlives_a_restart_also_one_without_redis(
    world: World, tmp_path: Path
) -> None:
    assert (await world.post("/v1/admin/pool/remove/b"))[0] == 200
    loaded = world.write({"a": world.arm(), "b": world.arm()}).load()
    async with running_router(
        loaded.pool.arms, world.redis_url, world.namespace, config=SMALL, loaded=loaded, state=tmp_path
    ) as again:
        assert "b" not in (await again.get("/v1/admin/pool"))[1]["arms"]
        async with asyncio.timeout(WITHIN_S):
            while not (await again.get("/v1/admin/pool"))[1]["workers"]:
                await asyncio.sleep(0.02)
    async with running_router(
        loaded.pool.arms, "unix:///nowhere.sock", world.namespace, config=SMALL, loaded=loaded, state=tmp_path
    ) as alone:
        assert [model["id"] for model in (await alone.get("/v1/models"))[1]["data"]][-1] == "a"
    assert (await world.post("/v1/admin/pool/reset/b"))[0] == 200


async def test_a_redis_that_has_lost_what_was_changed_is_given_it_back(world: World) -> None:
    assert (await world.post("/v1/admin/pool/drain/b"))[0] == 200
    async with connect(world.redis_url) as redis_client:
        await redis_client.delete(Keys(world.namespace)("live"))
        async with asyncio.timeout(WITHIN_S):
            while not (await SharedConfig(redis_client, world.namespace).read()).changes:
                await asyncio.sleep(0.02)
        assert (await SharedConfig(redis_client, world.namespace).read()).changes["b"].entry == {"state": "draining"}
    assert (await world.post("/v1/admin/pool/reset/b"))[0] == 200


async def test_files_are_read_again_when_they_change_where_that_is_configured(world: World) -> None:
    world.write({"a": world.arm(), "b": world.arm()}, reload="on_change")
    assert (await world.post("/v1/admin/reload"))[0] == 200
    await asyncio.sleep(0)
    world.write({"a": world.arm(usd_per_mtok_in=11.0), "b": world.arm()}, reload="on_change")
    await world.until_everywhere(a={"usd_per_mtok_in": 11.0})
    world.write({"a": world.arm(), "b": world.arm()})
    await world.until_everywhere(a={"usd_per_mtok_in": 1.0})


@dataclass
class Caller:
    """Whoever has a key, at one replica."""

    replica: Router
    key: str
    statuses: Counter[int] = field(default_factory=Counter)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.key}"}
        async with self.replica.http.post(path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def ask(self, model: str = "auto") -> int:
        return (await self.post("/v1/chat/completions", ask(model=model)))[0]

    async def change(self, path: str, body: Any = None) -> None:
        """Change an arm; all replicas have it by the time of the answer."""
        began = time.monotonic()
        status, answer = await self.post(f"/v1/admin/pool/{path}", body)
        assert status == 200, answer
        assert [worker["generation"] >= answer["generation"] for worker in answer["workers"].values()] == [True] * 2
        assert time.monotonic() - began < WITHIN_S

    async def ask_on(self, number: int, over: asyncio.Event) -> None:
        await asyncio.sleep(number * EVERY_S / 50)
        while not over.is_set():
            self.statuses[await self.ask(("auto", "a", "auto-quality")[number % 3])] += 1
            await asyncio.sleep(EVERY_S)

    async def refused_after_s(self) -> float:
        began = time.monotonic()
        while await self.ask() != 401:
            await asyncio.sleep(0.02)
        return time.monotonic() - began


async def test_fifty_clients_lose_nothing_while_arms_come_go_and_change_their_prices_and_a_key_is_revoked(
    valkey_url: str, tmp_path: Path
) -> None:
    async with two_replicas(valkey_url, tmp_path) as here, connect(valkey_url) as redis_client:
        here.upstream.script("slow", Say("Paris.", before=(release := asyncio.Event())))
        keys = KeyStore(redis_client, here.namespace, Store(redis_client, here.namespace))
        (_, kept), (doomed, revoked) = [
            await keys.add(KeyGrant(name, "default", tuple(SCOPES)), at=0.0) for name in ("kept", "doomed")
        ]
        _, plain = await keys.add(KeyGrant("plain", "default"), at=0.0)
        await asyncio.gather(*(Caller(replica, "no key").refused_after_s() for replica in here.replicas))
        one, other = (Caller(replica, kept) for replica in here.replicas)
        for path in ("reload", "pool/drain/a"):
            assert (await Caller(one.replica, plain).post(f"/v1/admin/{path}"))[0] == 403
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task((one, other)[number % 2].ask_on(number, over))
            await one.change("add/c", here.arm(model="slow"))
            under_way = group.create_task(other.ask("c"))
            await until(lambda: any(request["model"] == "slow" for request in here.upstream.requests))
            await other.change("price/a", {"usd_per_mtok_in": 2.0, "usd_per_mtok_out": 4.0})
            await one.change("drain/b")
            await other.change("remove/c")
            await keys.set_state(doomed.id, KeyState.REVOKED)
            took = await asyncio.gather(*(Caller(replica, revoked).refused_after_s() for replica in here.replicas))
            release.set()
            assert await under_way == 200, "a call to an arm that was removed did not finish"
            over.set()
        assert {*one.statuses, *other.statuses} == {200}
        assert one.statuses.total() + other.statuses.total() > 100
        assert max(took) < WITHIN_S
        told = [event for event in await here.told() if str(event.detail.get("by", "")).startswith("API, key-")]
        counts = Counter(event.kind for event in told)
        assert [counts[kind] for kind in (ControlKind.ARM_ADDED, ControlKind.ARM_DROPPED)] == [1, 1]
        assert counts[ControlKind.PRICE_CHANGED] == 1
        changed = {key for event in told for key in event.detail.get("changed", {})}
        assert {"pool.c", "pool.a.usd_per_mtok_in", "pool.b.state"} <= changed
