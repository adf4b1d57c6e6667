"""On a real Valkey: what keys and people weigh, as several processes see it."""

import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.trust.influence_caps import InfluenceCaps, InfluenceLimiter
from highwayman.feedback.trust.shared_influence import SharedInfluence, forget_influence

CAPS = InfluenceCaps(key_share=0.3, person_share=0.2, grace=3.0, half_life_s=100.0)


async def test_two_processes_weigh_as_one_that_sees_all(redis_client: Redis, namespace: str) -> None:
    both = [SharedInfluence(redis_client, namespace, CAPS) for _ in range(2)]
    one, rng, at = InfluenceLimiter(CAPS), random.Random(3), 1e9
    for _ in range(300):
        at += rng.expovariate(0.5)
        who = {"key": rng.choice(["k", "K", ""]), "person": rng.choice(["ann", "bob", "cid", "dan", "eve", ""])}
        share = rng.choice([None, 0.1, 1.0])
        tenant = rng.choice("tT")
        expected = one.allowed_weight(tenant, at=at, key_share=share, **who)
        weight = await rng.choice(both).allowed_weight(tenant, at=at, key_share=share, **who)
        assert weight == pytest.approx(expected, abs=1e-9)


async def test_a_flood_spread_over_processes_weighs_the_grace_once(redis_client: Redis, namespace: str) -> None:
    both = [SharedInfluence(redis_client, namespace, CAPS) for _ in range(2)]
    flood = [await both[n % 2].allowed_weight("t", key="bad", person="", at=1e9) for n in range(20)]
    assert sum(flood) == pytest.approx(3.0)


async def test_sums_end_by_themselves(redis_client: Redis, namespace: str) -> None:
    await SharedInfluence(redis_client, namespace, CAPS).allowed_weight("t", key="k", person="ann", at=1e9)
    names = await redis_client.keys(f"highwayman:{{{namespace}}}:influence:*")
    assert len(names) == 3
    for name in names:
        assert 1900 < await redis_client.ttl(name) <= 2000


async def test_an_erased_persons_sum_goes_and_another_tenants_person_of_that_name_stays(
    redis_client: Redis, namespace: str
) -> None:
    shared = SharedInfluence(redis_client, namespace, CAPS)
    for tenant in "tT":
        await shared.allowed_weight(tenant, key="", person="ann", at=1e9)
    await forget_influence(redis_client, namespace, tenants=["t"], pseudonyms=["ann"])
    names = await redis_client.keys(f"highwayman:{{{namespace}}}:influence:*:person:*")
    assert [name.decode().rpartition("influence:")[2] for name in names] == ["T:person:ann"]


async def test_a_redis_that_hangs_holds_up_one_statement_a_second_and_not_each(namespace: str) -> None:
    now, waited = [0.0], list[float]()
    async with silent_port() as port:
        hanging = SharedInfluence(connect(f"redis://127.0.0.1:{port}/0"), namespace, CAPS, lambda: now[0])
        for at in (0.0, 0.9, 1.1):
            now[0] = at
            begun = time.monotonic()
            assert await hanging.allowed_weight("t", key="k", person="", at=1e9) == 1.0
            waited.append(time.monotonic() - begun)
    assert [seconds > 0.3 for seconds in waited] == [True, False, True]


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """A port where somebody listens and nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_without_redis_a_process_goes_by_its_own_account(namespace: str) -> None:
    away = SharedInfluence(connect("redis://127.0.0.1:1/0"), namespace, CAPS)
    assert [await away.allowed_weight("t", key="bad", person="", at=1e9) for _ in range(4)] == [1.0, 1.0, 1.0, 0.0]
