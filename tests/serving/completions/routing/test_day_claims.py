"""Two cents a day that two processes claim from, with a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from highwayman.env.tasks import BackgroundTasks
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.shared_dollars import ReservedDollars, SharedDollars
from highwayman.serving.completions.routing import day_claims
from highwayman.serving.completions.routing.day_claims import DayClaims
from tests.feedback.worlds import outcome
from tests.ports import free_port


@pytest.fixture
async def processes(valkey_url: str, namespace: str) -> AsyncIterator[list[DayClaims]]:
    clients = [connect(valkey_url) for _ in range(2)]
    yield [claims_of(client, namespace) for client in clients]
    for client in clients:
        await client.aclose()


def claims_of(client: object, namespace: str, *, known_usd: float = 0.0) -> DayClaims:
    dollars = SharedDollars(client, namespace, name="budget", usd_per_day=0.02, clock=lambda: 86_400.0)  # type: ignore[arg-type]
    return DayClaims(dollars, BackgroundTasks(), known_usd=lambda: known_usd)


async def test_what_one_process_has_claimed_no_other_has_left_until_the_call_ends_cheaper(
    processes: list[DayClaims],
) -> None:
    one, other = processes
    assert await one.claim("a", 0.015)
    assert not await other.claim("b", 0.015)
    assert await other.left_usd() == pytest.approx(0.005)
    one.on_outcome(outcome("a", cost_usd=0.001))
    await one.background.drain()
    assert await other.claim("b", 0.015)
    assert await one.left_usd() == pytest.approx(0.004)


async def test_calls_that_nobody_claimed_for_and_those_that_cost_more_than_was_claimed_are_counted(
    processes: list[DayClaims],
) -> None:
    one, other = processes
    one.on_outcome(outcome("named by its caller", cost_usd=0.012))
    one.on_outcome(replace(outcome("without a price"), cost_usd=None))
    assert await one.claim("a", 0.001)
    one.on_outcome(outcome("a", cost_usd=0.003))
    await one.background.drain()
    assert await other.left_usd() == pytest.approx(0.005)
    assert not await other.claim("b", 0.006)


async def test_a_ceiling_that_is_moved_holds_for_the_next_claim_and_what_was_claimed_stays(
    processes: list[DayClaims],
) -> None:
    one, other = processes
    assert await one.claim("a", 0.015)
    for process in processes:
        process.dollars.follow(0.05)
    assert await other.claim("b", 0.03)
    assert await one.left_usd() == pytest.approx(0.005)
    one.dollars.follow(0.02)
    assert not await one.claim("c", 0.001)
    one.dollars.follow(None)
    assert await one.claim("c", 5.0)
    assert await one.left_usd() == float("inf")
    one.on_outcome(outcome("c", cost_usd=5.0))  # nobody counts what no ceiling holds
    one.on_outcome(outcome("a", cost_usd=0.0))
    await one.background.drain()
    assert await other.left_usd() == pytest.approx(0.02)


async def test_what_was_spent_before_the_day_had_a_hard_ceiling_is_counted_once(
    valkey_url: str, namespace: str
) -> None:
    async with connect(valkey_url) as client:
        one, other = (claims_of(client, namespace, known_usd=usd) for usd in (0.012, 0.013))
        assert not await one.claim("a", 0.009)
        assert await one.claim("b", 0.005)
        assert not await other.claim("c", 0.004)
        one.on_outcome(outcome("b", cost_usd=0.001))
        await one.background.drain()
        assert await other.left_usd() == pytest.approx(0.007)


async def test_a_call_that_was_under_way_when_the_ceiling_came_is_not_counted_twice(
    valkey_url: str, namespace: str
) -> None:
    async with connect(valkey_url) as client:
        claims = claims_of(client, namespace, known_usd=0.012)  # that call included
        claims.on_outcome(outcome("soft", cost_usd=0.002))
        await claims.background.drain()
        assert await claims.left_usd() == pytest.approx(0.008)


async def test_a_call_without_a_price_is_made_on_a_day_that_is_overspent(processes: list[DayClaims]) -> None:
    one, _ = processes
    one.on_outcome(outcome("named by its caller", cost_usd=0.03))
    await one.background.drain()
    assert await one.claim("a", 0.0)
    assert not await one.claim("b", 0.001)


async def test_what_redis_grants_too_late_is_given_back(
    valkey_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    granting, goes_on = asyncio.Event(), asyncio.Event()

    class Late(SharedDollars):
        async def claim(self, usd: float, *, before_usd: float = 0.0) -> ReservedDollars | None:
            claimed = await super().claim(usd, before_usd=before_usd)
            granting.set()
            await goes_on.wait()
            return claimed

    async with connect(valkey_url) as client:
        claims = claims_of(client, namespace)
        claims.dollars = Late(client, namespace, name="budget", usd_per_day=0.02, clock=lambda: 86_400.0)
        left = asyncio.create_task(claims.claim("of a client that left", 0.005))
        await granting.wait()
        left.cancel()
        monkeypatch.setattr(day_claims, "_PATIENCE_S", 0.01)
        assert await claims.claim("slow", 0.005), "nobody waits for it"
        goes_on.set()
        await asyncio.gather(left, return_exceptions=True)
        await claims.background.drain()
        assert await claims.left_usd() == pytest.approx(0.02)


async def test_without_redis_each_process_goes_by_what_it_knows_itself(namespace: str) -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}")
    claims = claims_of(client, namespace)
    assert await claims.claim("a", 0.01)
    claims.on_outcome(outcome("a", cost_usd=1.0))
    await claims.background.drain()
    assert await claims.left_usd() == float("inf")
    await client.aclose()
