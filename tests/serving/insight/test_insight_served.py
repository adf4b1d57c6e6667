"""What a started router tells of a filled log at a glance."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from benchmarks.filled_log.filling import Filled, fill, filled_config
from benchmarks.filled_log.world import TENANT, filled_arms
from highwayman.feedback.log.redis.redis import connect
from tests.serving.running_router import Router, running_router

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = {"tournament": {"guard": False}}  # no learners but the one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(valkey_url: str, module_namespace: str) -> AsyncIterator[tuple[Router, Filled]]:
    """A router that has learned a made-up log."""
    client = connect(valkey_url)
    done = await fill(client, module_namespace, now=time.time(), decisions=300, **QUIET)
    await client.aclose()
    config = filled_config(module_namespace, **QUIET).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    config.pop("namespace")
    async with running_router(filled_arms(), valkey_url, module_namespace, config=config) as router:
        async with asyncio.timeout(20):
            while (await router.get("/v1/history?tenant=*"))[1]["end"] is None or not await caught_up(router):
                await asyncio.sleep(0.05)
        yield router, done


async def caught_up(router: Router) -> bool:
    async with router.http.get("/metrics") as response:
        return "highwayman_learner_lag_seconds 0.0" in await response.text()


async def test_the_history_holds_all_traffic_of_each_tenant_and_what_was_changed_meanwhile(
    filled: tuple[Router, Filled],
) -> None:
    router, done = filled
    own, other, both = [(await router.get(f"/v1/history?tenant={name}"))[1] for name in ("default", TENANT, "*")]
    decisions = [sum(bucket["decisions"] for bucket in told["buckets"]) for told in (own, other, both)]
    assert decisions[0] + decisions[1] == decisions[2] <= done.decisions
    assert decisions[2] == 300 - 2  # two were erased
    # The first decision comes within the first hours, and its bucket is at most a quarter of its age wide.
    assert done.begin - (done.end - done.begin) / 4 < both["begin"] < done.begin + 3 * 3600
    band = both["reward"]
    assert 0 < band["low"] < band["mean"] < band["high"] < 1
    assert both["buckets"][-1]["reward"] == band
    assert 0.1 < both["feedback"]["coverage"] < 0.9
    words = [change["words"] for change in both["changes"]]
    assert any(text.startswith("abacus joined the pool") for text in words)
    assert any(text.startswith("The price of plain went from $0.0035 in") for text in words)
    assert any(text.startswith("bold decides from here on") for text in words)
    assert any(text.startswith("copyist was noticed to answer worse") for text in words)
    half = (await router.get(f"/v1/history?tenant=*&since={done.begin + 86400}"))[1]
    assert 0 < sum(bucket["decisions"] for bucket in half["buckets"]) < decisions[2]
    status, refused = await router.get("/v1/history?since=yesterday")
    assert (status, refused["error"]["param"]) == (400, "since")


async def test_kinds_are_told_by_tag_and_by_words_and_every_decision_is_on_the_map(
    filled: tuple[Router, Filled],
) -> None:
    router, _ = filled
    _, kinds = await router.get("/v1/kinds")
    by_tag, by_words = kinds["groups"]
    assert (by_tag["by"], by_words["by"]) == ("task", "words")
    assert {kind["name"] for kind in by_tag["kinds"]} == {"task chat", "task search", "task batch"}
    for group in kinds["groups"]:
        assert sum(kind["share"] for kind in group["kinds"]) <= 1.0 + 1e-9
        for kind in group["kinds"]:
            assert sum(count for bin in kind["over_time"] for count in bin["arms"].values()) == kind["count"]
            assert kind["moved"]["words"].endswith(".")
    assert sum(kind["count"] for kind in by_words["kinds"]) == kinds["decisions"]
    explored = kinds["exploration"]
    assert explored["per_request"]["regret"] > 0
    assert 0 < explored["per_request"]["explored"] < 1
    assert sum(stretch["decisions"] for stretch in explored["over_time"]) == kinds["decisions"]
    _, drawn = await router.get("/v1/map?limit=2000")
    assert len(drawn["points"]) == kinds["decisions"]
    assert {point["kind"] for point in drawn["points"]} == {kind["id"] for kind in by_words["kinds"]}
    assert all(point["preferred"] in drawn["arms"] and point["prompt"] is None for point in drawn["points"])
    assert len((await router.get("/v1/map?limit=7"))[1]["points"]) == 7
    assert (await router.get("/v1/map?limit=0"))[0] == 400
    _, others = await router.get(f"/v1/kinds?tenant={TENANT}")
    assert others["decisions"] != kinds["decisions"]
