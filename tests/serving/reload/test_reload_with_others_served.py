"""A reload beside hard budgets, trust zones and models asked by name: through two started routers, on one namespace."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yaml

from highwayman.env.cost.spend_ledger import DAY_S
from highwayman.serving.reload.config_files import ConfigFiles
from tests.serving.reload.test_reload_served import World, two_replicas
from tests.serving.running_router import Router, ask
from tests.upstream_server import ANY, Say

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICE = 100.0  # dollars per million tokens: a call of 9 + 2 of them costs 0.0011


PRIVACY = {"classes": {"internal": ["default"], "personal": ["default"], "secret": ["vectors"]}, "redact": ["personal"]}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with two_replicas(
        valkey_url, tmp_path_factory.mktemp("files"), lambda here: write(here, limits={"messages": 3})
    ) as here:
        yield here


def write(here: World, **config: Any) -> ConfigFiles:
    """Write the files: two dear arms, and a model asked by its name that is alone in its zone."""
    arm = here.arm(usd_per_mtok_in=PRICE, usd_per_mtok_out=PRICE)
    embedder = {"endpoint": here.upstream.url, "model": "e", "serves": ["embeddings"], "zone": "vectors"}
    return here.write({"a": arm, "b": arm}, by_name={"embedder": embedder}, privacy=PRIVACY, **config)


async def reloaded(here: World, **config: Any) -> None:
    write(here, **config)
    status, answer = await here.post("/v1/admin/reload")
    assert (status, answer.get("needs_restart")) == (200, []), answer
    assert all(worker["generation"] >= answer["generation"] for worker in answer["workers"].values())


async def asked(router: Router) -> int:
    return (await router.post("/v1/chat/completions", ask(max_tokens=2)))[0]


async def until_known(here: World, usd: float) -> None:
    """Wait until all replicas have heard that so much was spent."""
    async with asyncio.timeout(10):
        for replica in here.replicas:
            while sum(arm["cost_usd"] for arm in (await replica.get("/v1/policy"))[1]["arms"].values()) < usd - 1e-9:
                await asyncio.sleep(0.02)


async def test_an_arm_is_changed_by_api_and_by_command_where_only_a_model_asked_by_name_is_in_a_zone(
    world: World,
) -> None:
    await reloaded(world)
    assert (await world.post("/v1/admin/pool/drain/b"))[0] == 200
    code, said = await world.command("pool", "undrain", "b")
    assert code == 0, said
    assert (await world.post("/v1/admin/pool/reset/b"))[0] == 200


async def test_the_days_ceiling_that_all_routers_claim_from_is_the_one_read_last(world: World) -> None:
    async def statuses() -> Counter[int]:
        return Counter(await asyncio.gather(*(asked(replica) for replica in world.replicas * 8)))

    world.upstream.script(ANY, *[Say("Paris.", tokens_in=9, tokens_out=2)] * 200)
    assert (await statuses())[200] == 16, "there is no ceiling"
    await until_known(world, 0.0176)
    await reloaded(world, budget={"usd_per_day": 0.0176 + 0.006, "hard": True})
    ended = await statuses()
    while (status := await asked(world.replicas[0])) == 200:  # who asked beside others may have been refused
        ended[status] += 1
    assert 1 <= ended[200] <= 5, ended
    await reloaded(world, budget={"usd_per_day": 1.0, "hard": True})
    assert (await statuses())[200] == 16
    await reloaded(world, budget={"usd_per_day": 0.01, "hard": True})
    assert (await statuses()) == {429: 16}
    await reloaded(world)


async def test_a_request_with_placeholders_may_be_as_large_as_the_limits_read_last_allow(world: World) -> None:
    asked = {**ask("My mail is jane.doe@example.com."), "max_tokens": 2}
    await reloaded(world)
    asked["messages"] = asked["messages"] * 4
    status, answer, _ = await world.replicas[0].post("/v1/chat/completions", asked)
    assert status == 200, answer


async def test_the_limits_read_last_hold_on_every_route(world: World) -> None:
    await reloaded(world, limits={"body_bytes": 2048, "first_byte_s": 0.05})
    world.upstream.script("e", Say("late", before=asyncio.Event()))
    status, answer = await world.post("/v1/embeddings", {"model": "embedder", "input": "x"})
    assert (status, answer["error"]["code"]) == (502, "upstream_failed"), answer
    for path in (
        "/v1/outcomes",
        "/v1/route",
        "/v1/messages",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/chat/completions",
    ):
        assert (await world.post(path, {"x": "x" * 4000}))[0] == 413, path
    await reloaded(world)


async def test_an_outcome_of_an_arm_that_was_removed_since_is_taken_and_costs_what_is_told(world: World) -> None:
    await reloaded(world)
    routes = [(await world.post("/v1/route", ask(model="b")))[1] for _ in range(2)]
    assert (await world.post("/v1/admin/pool/remove/b"))[0] == 200
    done = {"status": "ok", "usage": {"prompt_tokens": 9, "completion_tokens": 2}, "latency_s": 0.5}
    status, plain = await world.post("/v1/outcomes", {"decision_id": routes[0]["id"], **done})
    assert (status, plain.get("cost_usd")) == (200, None), plain
    told = {"decision_id": routes[1]["id"], **done, "failed_arms": ["b"], "arm": "a", "cost_usd": 0.5}
    status, plain = await world.post("/v1/outcomes", told)
    assert (status, plain.get("arm"), plain.get("cost_usd")) == (200, "a", 0.5), plain
    assert (await world.post("/v1/admin/pool/reset/b"))[0] == 200


async def test_what_is_refused_as_a_file_has_changed_on_both_sides_says_what_stays_until_a_restart(
    world: World,
) -> None:
    files = write(world, feedback={"judge": {"arms": ["c"]}})
    pool = yaml.safe_load(files.pool.read_text())
    pool["by_name"]["embedder"]["zone"] = "away"
    files.pool.write_text(yaml.safe_dump(pool))
    status, answer = await world.post("/v1/admin/reload")
    assert status == 400
    assert "privacy.classes.secret: no arm of the pool has `zone: vectors`" in answer["error"]["message"]
    assert "until a restart these stay as they were: feedback.judge.arms" in answer["error"]["message"]
    await reloaded(world)


async def test_what_exploration_has_cost_today_counts_on_whatever_is_changed(world: World) -> None:
    async def routed() -> list[dict[str, Any]]:
        return list((await world.post("/v1/route", ask()))[1]["candidates"])

    async def explored() -> bool:
        return all(arm["probability"] < 1.0 for arm in await routed())

    assert (await world.post("/v1/admin/pool/price/a", {"usd_per_mtok_in": 50.0, "usd_per_mtok_out": 50.0}))[0] == 200
    beyond_usd = sum(arm["probability"] * (arm["expected_usd"] or 0.0) for arm in await routed())
    beyond_usd -= min(arm["expected_usd"] for arm in await routed())
    due = min((time.time() % DAY_S + 3600.0) / DAY_S, 1.0)
    await reloaded(world, exploration={"usd_per_day": 1.6 * beyond_usd / due})
    assert [await explored() for _ in range(3)] == [True, True, False], "it is spent"
    assert (await world.post("/v1/admin/pool/price/b", {"usd_per_mtok_in": PRICE, "usd_per_mtok_out": PRICE}))[0] == 200
    assert not await explored()
    for arm in "ab":
        assert (await world.post(f"/v1/admin/pool/reset/{arm}"))[0] == 200
