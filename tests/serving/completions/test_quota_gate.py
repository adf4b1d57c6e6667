"""Gates of several processes on a real Valkey, and what each takes ahead."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from highwayman.env.types import CascadeStage, Outcome, Status
from highwayman.feedback.log.store import Keys
from highwayman.feedback.trust.principal import Principal
from highwayman.feedback.trust.quotas import parse_quotas
from highwayman.feedback.trust.shared_quotas import SharedQuotas
from highwayman.serving.completions.quota_gate import QuotaGate
from highwayman.serving.completions.quota_lease import QuotaLease
from highwayman.serving.http.errors import RateLimited

WE = Principal("we", "key-1")
MakeGate = Callable[..., QuotaGate]


@pytest.fixture
async def gate(redis_client: Redis, namespace: str) -> AsyncIterator[MakeGate]:
    """Makes gates of one namespace, each with a connection of its own."""
    shared: list[SharedQuotas] = []

    def make(**limits: float) -> QuotaGate:
        shared.append(SharedQuotas(redis_client, timer=time.monotonic, patience_s=5.0))
        made = QuotaGate(shared[-1], namespace, clock=time.time)
        made.follow({"we": parse_quotas(limits)}, is_open_without_redis=False)
        return made

    yield make
    for each in shared:
        await each.close()


async def is_let_in(gate: QuotaGate, name: str = "", *, tokens: int = 0) -> bool:
    try:
        gate.check(WE)
        await gate.admit(WE, name, tokens=tokens, usd=0.0)
    except RateLimited:
        return False
    return True


async def sum_of(client: Redis, namespace: str, window: str) -> int:
    (name,) = await client.keys(Keys(namespace)("quota", f"tenant:we:{window}*"))
    return int(await client.hget(name, "s") or 0)  # type: ignore[misc]


@pytest.mark.parametrize("limit", [100, 1000])
async def test_processes_that_are_asked_often_let_through_what_a_limit_says_but_for_what_each_took_ahead(
    gate: MakeGate, limit: int
) -> None:
    both = [gate(requests_per_minute=limit) for _ in range(2)]

    async def client(number: int) -> int:
        return sum([await is_let_in(both[number % 2]) for _ in range(limit // 8)])

    let_in = sum(await asyncio.gather(*(client(number) for number in range(12))))
    assert limit - 2 * (limit // 200) <= let_in <= limit
    assert limit >= 200 or let_in == limit


async def test_what_was_taken_ahead_is_given_back_where_nobody_asks_for_it(
    gate: MakeGate, redis_client: Redis, namespace: str
) -> None:
    made = gate(requests_per_day=100_000)
    for _ in range(20):
        assert await is_let_in(made)
    assert await sum_of(redis_client, namespace, "requests:day") > 20
    async with asyncio.timeout(5):
        while await sum_of(redis_client, namespace, "requests:day") != 20:
            await asyncio.sleep(0.05)


def outcome_of(decision_id: str, tokens_out: int) -> Outcome:
    return Outcome(
        decision_id=decision_id, at=0.0, arm="a", status=Status.OK, prompt_tokens=5, tokens_in=5,
        tokens_out=tokens_out, cost_usd=None, ttft_s=None, latency_s=1.0, finish_reason="stop",
    )  # fmt: skip


async def test_tokens_are_settled_to_what_was_used_whether_taken_ahead_or_not(
    gate: MakeGate, redis_client: Redis, namespace: str
) -> None:
    made = gate(tokens_per_day=10_000_000)
    for number in range(40):
        assert await is_let_in(made, f"d{number}", tokens=300)
    for number in range(40):
        made.on_outcome(outcome_of(f"d{number}", 10 * number))
    used = sum(5 + 10 * number for number in range(40))
    async with asyncio.timeout(5):
        while await sum_of(redis_client, namespace, "tokens:day") != used:
            await asyncio.sleep(0.05)


async def test_tokens_that_a_call_has_not_used_come_back_though_nothing_is_taken_ahead_and_nobody_asks_again(
    gate: MakeGate, redis_client: Redis, namespace: str
) -> None:
    made = gate(tokens_per_day=1000)
    for name in ("d1", "d2"):
        assert await is_let_in(made, name, tokens=100)
    for name in ("d1", "d2"):
        made.on_outcome(outcome_of(name, 15))
    async with asyncio.timeout(5):
        while await sum_of(redis_client, namespace, "tokens:day") != 40:
            await asyncio.sleep(0.05)


async def test_tokens_of_an_answer_that_a_cascade_rejected_are_taken_too(
    gate: MakeGate, redis_client: Redis, namespace: str
) -> None:
    made, stage = gate(tokens_per_day=1000), CascadeStage("small", {}, 0.1, 1.0, True, "a", tokens_in=20, tokens_out=30)
    assert await is_let_in(made, "d", tokens=100)
    made.on_outcome(replace(outcome_of("d", 15), stages=(stage,)))
    async with asyncio.timeout(5):
        while await sum_of(redis_client, namespace, "tokens:day") != 70:
            await asyncio.sleep(0.05)


def test_a_process_takes_ahead_more_as_it_is_asked_again_soon_and_never_more_than_a_part_of_a_limit() -> None:
    lease = QuotaLease([0])
    sizes = []
    for now in (0.0, 0.1, 0.2, 0.3, 9.0):
        sizes.append(lease.next_size([1], [100_000], now))
        lease.fill([0], (0,), second=0, now=now)
    assert sizes == [1, 2, 4, 8, 1]
    lease.size = 64
    assert QuotaLease([0], until=1.0, size=64).next_size([1], [100_000], 0.0) == 64
    assert QuotaLease([0], until=1.0, size=64).next_size([1], [1_000], 0.0) == 6
    assert QuotaLease([0], until=1.0, size=64).next_size([1], [199], 0.0) == 1
    assert QuotaLease([0, 0], until=1.0, size=64).next_size([1, 300], [100_000, 120_000], 0.0) == 3


async def test_a_limit_that_is_raised_lets_more_in_at_once_and_what_was_taken_stays(gate: MakeGate) -> None:
    made = gate(requests_per_minute=2)
    assert [await is_let_in(made) for _ in range(3)] == [True, True, False]
    made.follow({"*": parse_quotas({"requests_per_minute": 3})}, is_open_without_redis=False)
    assert [await is_let_in(made) for _ in range(2)] == [True, False]
    made.follow({}, is_open_without_redis=False)
    assert not made.limits(WE)
