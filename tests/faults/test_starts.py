"""Routers that start while Redis is away: they answer with what their machine kept, and join when it is there."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from highwayman.env.types import Control, ControlKind, Decision
from highwayman.feedback.learning import snapshot_file
from highwayman.feedback.log.event_id import START
from highwayman.feedback.log.events import Event, decode
from tests.faults.audit import audit
from tests.faults.clients import Clients, Memory
from tests.faults.processes import ARMS, WITHIN_S, Router, World, all_ready, world

KNOWN_ELSEWHERE_S = 6.0  # routers look every five seconds for each other's secrets


@pytest.mark.timeout(120)
async def test_a_router_without_redis_goes_on_with_the_version_it_kept_and_joins_when_redis_is_there() -> None:
    async with world() as here:
        old, other = here.router(), here.router()
        await all_ready(old, other)
        async with Clients([old.url, other.url], seed=9) as clients:
            await asyncio.sleep(1.0)
        await audit(here, clients.memory)
        await old.end()  # keeps the version it had in force
        here.valkey.kill()
        kept = snapshot_file.read_snapshot(kept_version(old)).stamp.version
        assert kept > 0
        old.start()
        new = here.router()  # on a machine that has kept nothing
        await asyncio.gather(
            old.until(ready=True, degraded=True, policy_version=kept),
            new.until(ready=True, degraded=True, policy_version=0),
        )
        memory = clients.memory
        asked = {router: await ask(router, memory) for router in (old, new)}
        for router, decision_id in asked.items():
            assert (await say(router, decision_id, True, memory))[0] == "spooled"
            assert (await router.get("/readyz"))["spooled_events"] >= 3, "a decision, its outcome, what was said"
        status, _, _ = await other.post("/v1/feedback", {"decision_id": asked[new], "value": True})
        assert status == 404, "nobody knows the secret of the new machine yet"
        here.valkey.start()
        await here.valkey.ready()
        at = time.monotonic()
        for decision_id in asked.values():
            while (await say(other, decision_id, False, memory))[0] == 404:
                await asyncio.sleep(0.05)
        assert time.monotonic() - at < KNOWN_ELSEWHERE_S + 1.0
        await audit(here, memory)
        assert memory.refused == memory.broken == 0
        decisions = {event.id: event for event in await log_of(here) if isinstance(event, Decision)}
        assert [decisions[asked[router]].policy_version for router in (old, new)] == [kept, 0]


@pytest.mark.timeout(120)
async def test_the_first_router_of_all_needs_no_redis_to_start_and_announces_itself_when_there_is_one() -> None:
    async with world(start=False) as here:
        router = here.router()
        await router.until(ready=True, degraded=True, redis=False, policy_version=0)
        async with Clients([router.url], seed=10) as clients:
            await asyncio.sleep(1.0)
            memory = clients.memory
            assert len(memory.said) > 0
            here.valkey.start()
            await router.until(degraded=False, spooled_events=0)
            await asyncio.sleep(0.5)
        await audit(here, memory)
        assert memory.refused == memory.broken == 0
        controls = [event for event in await log_of(here) if isinstance(event, Control)]
        added = [event.detail["arm"] for event in controls if event.kind is ControlKind.ARM_ADDED]
        assert sorted(added) == sorted(ARMS)


def kept_version(router: Router) -> Path:
    (found,) = router.state.glob("policy-*.hwym")
    return found


async def ask(router: Router, memory: Memory) -> str:
    """Return the decision's id."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Who is there?"}]}
    status, _, headers = await router.post("/v1/chat/completions", body)
    assert status == 200
    memory.begun.append(headers["x-highwayman-decision"])
    return headers["x-highwayman-decision"]


async def say(router: Router, decision_id: str, value: bool, memory: Memory) -> tuple[Any, Any]:
    """Return what became of feedback (or the status of its refusal), and the answer's body."""
    status, found, _ = await router.post("/v1/feedback", {"decision_id": decision_id, "value": value})
    if status != 200:
        return status, found
    memory.acknowledge(decision_id, found)
    return found["state"], found


async def log_of(here: World) -> list[Event]:
    found: list[Event] = []
    async with here.client() as client, asyncio.timeout(WITHIN_S):
        async for page in here.learning.retention(client).scan(START):
            found += [decode(data) for _, data, _ in page]
    return found
