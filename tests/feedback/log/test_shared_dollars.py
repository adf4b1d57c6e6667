"""A dollar a day, from which several processes spend, each with a connection of its own."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.shared_dollars import SharedDollars
from tests.ports import free_port

DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.at = 5 * DAY_S

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def processes(valkey_url: str, namespace: str, clock: Clock) -> AsyncIterator[list[SharedDollars]]:
    clients = [connect(valkey_url) for _ in range(3)]
    yield [SharedDollars(client, namespace, name="shadow", usd_per_day=1.0, clock=clock) for client in clients]
    for client in clients:
        await client.aclose()


async def test_however_many_ask_at_once_no_more_is_granted_than_the_day_has(processes: list[SharedDollars]) -> None:
    asked = [process.reserve(0.03) for _ in range(20) for process in processes]
    granted = [reserved for reserved in await asyncio.gather(*asked) if reserved is not None]
    assert 0.03 * len(granted) <= 1.0
    while (more := await processes[0].reserve(0.03)) is not None:  # who asked beside others may have been refused
        granted.append(more)
    assert len(granted) == 33
    assert await processes[1].spent_usd() == pytest.approx(0.99)


async def test_what_a_call_did_not_take_is_there_for_the_next(processes: list[SharedDollars]) -> None:
    first = await processes[0].reserve(0.9)
    assert first is not None
    assert await processes[1].reserve(0.2) is None
    await processes[0].settle(first, 0.1)
    assert await processes[1].reserve(0.9) is not None
    assert await processes[1].reserve(0.01) is None


async def test_a_day_begins_anew_and_a_call_of_yesterday_is_yesterdays(
    processes: list[SharedDollars], clock: Clock
) -> None:
    late = await processes[0].reserve(1.0)
    clock.at += DAY_S
    assert await processes[0].reserve(1.0) is not None
    assert late is not None
    await processes[0].settle(late, 0.0)
    assert await processes[0].reserve(0.1) is None


async def test_a_call_dearer_than_the_day_leaves_it_to_others(processes: list[SharedDollars]) -> None:
    assert await processes[0].reserve(1.5) is None
    assert await processes[0].reserve(1.0) is not None


async def test_without_redis_nothing_is_granted(namespace: str, clock: Clock) -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}")
    dollars = SharedDollars(client, namespace, name="shadow", usd_per_day=1.0, clock=clock)
    assert await dollars.reserve(0.01) is None
    await client.aclose()
