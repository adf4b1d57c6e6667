"""On a real Valkey: windows of amounts, by a clock of the test's own."""

import asyncio
import random
import time

import pytest
from redis.asyncio import Redis

from highwayman.env.errors import StoreUnavailable
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.trust.shared_quotas import CALENDAR, SLIDING, Amount, SharedQuotas, Taken


class Windows:
    """Several processes that take from the same windows."""

    def __init__(self, client: Redis, name: str, *, processes: int = 1) -> None:
        self.now = 1_000_000.0
        self.name = f"highwayman:{{{name}}}:quota"
        self.processes = [
            SharedQuotas(client, timer=time.monotonic, clock=lambda: self.now, patience_s=5.0) for _ in range(processes)
        ]

    def amount(self, units: int, limit: int | None, *, kind: str = SLIDING, name: str = "a", second: int = 0) -> Amount:
        return Amount(f"{self.name}:{name}", kind, limit, units, 1000, second)

    async def take(self, *amounts: Amount, by: int = 0) -> Taken:
        return await self.processes[by].take(amounts)

    async def settle(self, *amounts: Amount) -> None:
        self.processes[0].settle(amounts)
        await self.take()  # goes after it


@pytest.fixture
def windows(redis_client: Redis, namespace: str) -> Windows:
    return Windows(redis_client, namespace)


async def test_a_minute_is_any_sixty_seconds_and_what_left_it_may_be_taken_again(windows: Windows) -> None:
    assert (await windows.take(windows.amount(6, 10))).sums == (6,)
    windows.now += 30
    taken = await windows.take(windows.amount(5, 10))
    assert (taken.refused, taken.sums) == (0, (6,))
    assert taken.wait_s == pytest.approx(31)
    assert (await windows.take(windows.amount(4, 10))).sums == (10,)
    windows.now += 30.9
    assert (await windows.take(windows.amount(1, 10))).refused == 0
    windows.now += 0.1
    assert (await windows.take(windows.amount(6, 10))).sums == (10,)


async def test_no_sixty_seconds_hold_more_than_the_limit_whenever_requests_come(windows: Windows) -> None:
    rng, let_through = random.Random(7), list[float]()
    for _ in range(600):
        windows.now += rng.choice((0.0, 0.01, 0.3, 2.0, rng.uniform(0, 40)))
        if (await windows.take(windows.amount(1, 10))).refused is None:
            let_through.append(windows.now)
    busiest = max(sum(start <= at < start + 60 for at in let_through) for start in let_through)
    assert busiest == 10
    assert len(let_through) > 100


async def test_all_of_a_requests_amounts_are_taken_or_none_and_the_first_that_does_not_fit_is_named(
    windows: Windows,
) -> None:
    both = windows.amount(1, 5), windows.amount(7, 10, kind=CALENDAR, name="b")
    assert (await windows.take(*both)).sums == (1, 7)
    taken = await windows.take(*both)
    assert (taken.refused, taken.wait_s, taken.sums) == (1, None, (1, 7))
    assert (await windows.take(windows.amount(4, 5))).sums == (5,)


async def test_what_can_never_fit_is_told_apart_from_what_does_not_fit_now(windows: Windows) -> None:
    assert (await windows.take(windows.amount(11, 10))).wait_s is None
    await windows.take(windows.amount(10, 10))
    assert (await windows.take(windows.amount(1, 10))).wait_s == pytest.approx(61)


async def test_what_a_call_did_not_take_is_given_back_to_the_second_it_was_taken_in(windows: Windows) -> None:
    taken = await windows.take(windows.amount(8, 10))
    windows.now += 20
    await windows.settle(windows.amount(-5, None, second=taken.second))
    assert (await windows.take(windows.amount(7, 10))).sums == (10,)
    windows.now += 41
    assert (await windows.take(windows.amount(0, 10))).sums == (7,)
    await windows.settle(windows.amount(-3, None, second=taken.second))  # which is long gone from the window
    assert (await windows.take(windows.amount(0, 10))).sums == (7,)
    windows.now += 500
    assert (await windows.take(windows.amount(0, 10))).sums == (0,)


async def test_a_day_settles_what_it_was_taken_for_and_a_window_that_is_gone_stays_so(windows: Windows) -> None:
    day = windows.amount(9, 10, kind=CALENDAR)
    await windows.take(day)
    await windows.settle(windows.amount(4, None, kind=CALENDAR))
    assert (await windows.take(windows.amount(0, 10, kind=CALENDAR))).sums == (13,)
    await windows.settle(windows.amount(4, None, kind=CALENDAR, name="of yesterday"))
    assert (await windows.take(windows.amount(0, 10, kind=CALENDAR, name="of yesterday"))).sums == (0,)


async def test_processes_that_ask_at_once_never_take_more_than_there_is(redis_client: Redis, namespace: str) -> None:
    windows = Windows(redis_client, namespace, processes=3)
    replies = await asyncio.gather(*(windows.take(windows.amount(1, 100), by=n % 3) for n in range(300)))
    assert sum(reply.refused is None for reply in replies) == 100


async def test_windows_end_by_themselves(windows: Windows, redis_client: Redis) -> None:
    await windows.take(windows.amount(1, 10), windows.amount(1, 10, kind=CALENDAR, name="b"))
    assert 0 < await redis_client.ttl(f"{windows.name}:a") <= 122
    assert 900 < await redis_client.ttl(f"{windows.name}:b") <= 1000


async def test_a_redis_that_is_away_is_asked_again_only_after_a_while(namespace: str) -> None:
    now = [0.0]
    away = SharedQuotas(connect("redis://127.0.0.1:1/0"), timer=lambda: now[0])
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await away.take([Amount("w", SLIDING, 1, 1, 1)])
    with pytest.raises(StoreUnavailable, match="just now"):
        await away.take([Amount("w", SLIDING, 1, 1, 1)])
    now[0] = 1.0
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await away.take([Amount("w", SLIDING, 1, 1, 1)])
