"""What replicas say of their load and their models, over HTTP: who is asked, what a policy is told, what is shown."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.serving.running_router import Router, arm, ask, running_router
from tests.upstream_server import ANY, Fail, Say, ScriptedUpstream
from tests.vllm_metrics import vllm_metrics

CONFIG: dict[str, Any] = {
    "limits": {"replica_load_s": 0.05, "redis_s": 5.0},
    "policy": {"name": "Cheapest", "floor": 0.0},
    "latency_weight": 1.0,
}


@dataclass
class Running:
    """A router in front of three replicas: arm a has the first two, arm b the third."""

    router: Router
    replicas: list[ScriptedUpstream] = field(default_factory=list)

    async def view(self, name: str, true: Callable[[dict[str, Any]], object] = lambda view: True) -> dict[str, Any]:
        """Return what is shown of an arm, once it is as wanted."""
        async with asyncio.timeout(5):
            while True:
                _, shown = await self.router.get("/v1/policy")
                if true(shown["arms"][name]):
                    return dict(shown["arms"][name])
                await asyncio.sleep(0.01)

    async def answers(self, count: int, model: str) -> list[int]:
        """Ask so many questions, and return how many each replica got."""
        before = [len(replica.requests) for replica in self.replicas]
        for _ in range(count):
            status, _, _ = await self.router.post("/v1/chat/completions", ask(model=model))
            assert status == 200
        return [len(replica.requests) - had for replica, had in zip(self.replicas, before, strict=True)]

    async def say(self, *texts: str | None) -> None:
        """Have the replicas say this of themselves, and return once it is known of a's first and of b's."""
        for replica, text in zip(self.replicas, texts, strict=True):
            replica.metrics = text
            replica.polled.clear()
        async with asyncio.timeout(5):
            while any(len(replica.polled) < 2 for replica in self.replicas):
                await asyncio.sleep(0.01)


@pytest.fixture
async def replicas() -> AsyncIterator[list[ScriptedUpstream]]:
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(ScriptedUpstream()) for _ in range(3)]
        for replica in started:
            replica.script(ANY, Say("Fine."))
            replica.metrics, replica.models = vllm_metrics(), ["a-upstream", "b-upstream"]
        yield started


@pytest.fixture
async def running(replicas: list[ScriptedUpstream], valkey_url: str, namespace: str) -> AsyncIterator[Running]:
    one, two, three = (replica.url for replica in replicas)
    arms = [arm("a", one, two), arm("b", three)]
    async with running_router(arms, valkey_url, namespace, config=CONFIG) as router:
        yield Running(router, replicas)


def first_waits(waiting: float) -> Callable[[dict[str, Any]], bool]:
    return lambda view: bool(view["replicas"][0]["waiting"] == waiting)


async def test_the_least_busy_replica_is_asked_and_the_policy_told_how_long_an_arms_queue_is(running: Running) -> None:
    idle, busy = vllm_metrics(), vllm_metrics(running=4.0, waiting=2.0, kv=0.5, first_token_s=3.0, first_tokens=10.0)
    await running.say(busy, idle, idle)
    shown = (await running.view("a", first_waits(2.0)))["replicas"][0]
    assert await running.answers(2, "a") == [0, 2, 0]
    assert await running.answers(2, "b") == [0, 0, 2]
    assert shown == {
        "endpoint": running.replicas[0].url,
        "serves": True,
        "waiting": 2.0,
        "running": 4.0,
        "kv_cache_usage": 0.5,
        "first_token_s": pytest.approx(0.3),
    }
    async with running.router.http.get("/metrics") as response:
        exposed = await response.text()
    labels = f'{{endpoint="{running.replicas[0].url}"}}'
    for name, value in (("requests_waiting", 2.0), ("requests_running", 4.0), ("kv_cache_usage_ratio", 0.5)):
        assert f"highwayman_replica_{name}{labels} {value}\n" in exposed

    for name in ("a", "b"):
        await running.view(name, lambda view: view["latency_s"])
    full = vllm_metrics(running=1.0, waiting=50.0)
    for texts, asked in (((full, full, idle), [0, 0, 3]), ((full, idle, full), [0, 3, 0])):
        await running.say(*texts)
        assert await running.answers(3, "auto") == asked


async def test_an_arm_whose_adapter_no_replica_has_is_unwell_and_others_answer(
    replicas: list[ScriptedUpstream], valkey_url: str, namespace: str
) -> None:
    one, two, three = (replica.url for replica in replicas)
    replicas[0].models = ["base"]
    replicas[1].script("a-upstream", Fail(404, "The model `a-upstream` does not exist."))
    arms, config = [arm("a", one, two), arm("b", three)], {**CONFIG, "policy": {"name": "Fixed", "floor": 0.0}}
    async with running_router(arms, valkey_url, namespace, config=config) as router:
        running = Running(router, replicas)
        await running.view("a", lambda view: not view["replicas"][0]["serves"])
        assert await running.answers(3, "auto") == [0, 1, 3]  # it lists the adapter, and refuses it once
        assert (await running.view("a"))["unwell"] == "no replica serves the model 'a-upstream'"
        assert (await router.get("/readyz"))[1]["arms"] == {"a": False, "b": True}
        assert (await running.view("b"))["unwell"] is None


async def test_a_router_that_is_told_not_to_asks_no_replica_for_its_load(
    replicas: list[ScriptedUpstream], valkey_url: str, namespace: str
) -> None:
    config = {**CONFIG, "limits": {"replica_load_s": 0}}
    arms = [arm("a", *(replica.url for replica in replicas))]
    async with running_router(arms, valkey_url, namespace, config=config) as router:
        running = Running(router, replicas)
        assert sum(await running.answers(3, "a")) == 3
        assert (await running.view("a"))["replicas"][0]["waiting"] is None
    assert [replica.polled for replica in replicas] == [[], [], []]
