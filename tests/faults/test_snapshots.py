"""Learned state that is damaged, in Redis and on a router's disk: told, and found again from the log."""

import asyncio
from collections.abc import Callable

import pytest

from highwayman.feedback.log.store import Keys
from tests.faults.audit import audit
from tests.faults.clients import Clients
from tests.faults.processes import WITHIN_S, Router, World, all_ready, world

Damage = Callable[[dict[bytes, bytes]], dict[bytes, bytes]]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1 :]


DAMAGES: dict[str, Damage] = {
    "the policy's bytes": lambda found: {**found, b"policy": flipped(found[b"policy"])},
    "half of the policy": lambda found: {**found, b"policy": found[b"policy"][: len(found[b"policy"]) // 2]},
    "the tally": lambda found: {**found, b"tally": found[b"tally"][1:]},
    "the tally's fields": lambda found: {**found, b"tally": b'{"a": {"decisions": 1, "wrong": 2}}'},
    "the rollbacks": lambda found: {**found, b"rollbacks": b"?"},
    "the version": lambda found: {**found, b"version": b"?"},
    "the position": lambda found: {**found, b"position": b"somewhere"},
    "a field that is missing": lambda found: {name: value for name, value in found.items() if name != b"tally"},
}


@pytest.mark.timeout(240)
async def test_damaged_state_in_redis_is_folded_anew_from_the_log_and_routers_go_on() -> None:
    async with world() as here:
        router, follower = here.router(), here.router("--no-learn")
        await all_ready(router, follower)
        async with Clients([router.url, follower.url], seed=7) as clients:
            await asyncio.sleep(1.0)
        await audit(here, clients.memory)
        for number, (name, damage) in enumerate(DAMAGES.items(), start=1):
            await damaged(here, damage)
            await mended(here, router, number)
            found = await audit(here, clients.memory)
            assert found.statements == len(clients.memory.said) > 0, name
            await follower.until(policy_version=(await router.until(degraded=False))["policy_version"])
        router.kill()
        await damaged(here, DAMAGES["the tally"])
        router.start()
        await router.ready()
        await mended(here, router, len(DAMAGES) + 1)
        await audit(here, clients.memory)


@pytest.mark.timeout(120)
async def test_a_damaged_snapshot_on_disk_is_told_and_a_router_without_redis_starts_on_the_prior() -> None:
    async with world() as here:
        router, _ = here.router("--no-learn"), here.learner()
        await all_ready(*here.processes)
        async with Clients([router.url], seed=8) as clients:
            await asyncio.sleep(1.0)
            await clients.rest()
            await audit(here, clients.memory)
            await router.end()
            here.valkey.kill()
            (kept,) = router.state.glob("policy-*.hwym")
            kept.write_bytes(flipped(kept.read_bytes()))
            router.start()
            await router.until(ready=True, degraded=True, policy_version=0)
            assert "its checksum does not match" in router.log()
            assert "on the prior" in router.log()
            clients.go_on()
            await asyncio.sleep(0.5)
            await clients.rest()
            here.valkey.start()
            await audit(here, clients.memory)
            assert clients.memory.refused == clients.memory.broken == 0
        async with here.client() as client:
            published = await here.learning.publications(client).stamp()
        await router.until(policy_version=published.version)


async def damaged(here: World, damage: Damage) -> None:
    """Damage what is published, as if somebody had published it so; whoever holds the lease begins again."""
    keys, lineage = Keys("faults"), here.learning.lineage
    async with here.client() as client:
        found = damage(await client.hgetall(keys("policy", lineage)))
        await client.incr(keys("epoch", lineage))
        await client.delete(keys("policy", lineage))
        await client.hset(keys("policy", lineage), mapping={**found, b"holder": b"somebody"})


async def mended(here: World, router: Router, times: int) -> None:
    """Return once the router has said so often that it learns again, and published what it learned."""
    async with asyncio.timeout(WITHIN_S), here.client() as client:
        while router.log(whole=True).count("learning the log again after") < times:
            await asyncio.sleep(0.02)
        while await client.hget(Keys("faults")("policy", here.learning.lineage), "holder") == b"somebody":
            await asyncio.sleep(0.02)
