"""What is remembered of conversations, here and in a real Redis."""

import time
from collections.abc import Callable

import pytest
import redis.asyncio as aioredis

from highwayman.feedback.log.redis.redis import connect
from highwayman.serving.completions.conversations.conversation_keys import LOOSE
from highwayman.serving.completions.conversations.conversation_memory import ConversationMemory

Memories = Callable[..., ConversationMemory]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memories(redis_client: aioredis.Redis, namespace: str, clock: Clock) -> Memories:
    def make(client: aioredis.Redis = redis_client, entries: int = 100, patience_s: float = 10.0) -> ConversationMemory:
        return ConversationMemory(client, namespace, clock, patience_s=patience_s, lifetime_s=60.0, entries=entries)

    return make


async def test_the_surest_key_that_says_an_arm_counts(memories: Memories) -> None:
    memory = memories()
    memory.remember(["turn"], "a")
    memory.remember(["conversation"], "b")
    assert await memory.recall(["call", "turn", "conversation"]) == "a"
    assert await memory.recall(["call"]) is None
    assert await memory.recall([]) is None


async def test_another_process_knows_what_was_shared_and_nothing_else(memories: Memories) -> None:
    one, other = memories(), memories()
    one.remember(["kept", f"{LOOSE}kept"], "a")
    await one.share(["told", f"{LOOSE}told"], "a")
    assert await other.recall(["told"]) == "a"
    assert await other.recall([f"{LOOSE}told"]) == "a"
    assert await other.recall(["kept", f"{LOOSE}kept"]) is None


async def test_what_was_shared_later_by_another_process_wins(memories: Memories) -> None:
    one, other = memories(), memories()
    one.remember(["turn"], "a")
    await one.share(["turn"], "a")
    await other.share(["turn"], "b")
    assert await one.recall(["call", "turn"]) == "b"


async def test_a_key_that_conversations_share_says_nothing_once_two_arms_answered_under_it(memories: Memories) -> None:
    one, other = memories(), memories()
    for arm in "ab":
        one.remember([f"{LOOSE}call_1"], arm)
        await other.share([f"{LOOSE}call_2"], arm)
    assert await one.recall([f"{LOOSE}call_1"]) is None
    assert await one.recall([f"{LOOSE}call_2"]) is None


async def test_what_is_remembered_expires_here_and_in_redis(
    memories: Memories, clock: Clock, redis_client: aioredis.Redis, namespace: str
) -> None:
    memory = memories()
    memory.remember(["turn"], "a")
    await memory.share(["turn", f"{LOOSE}call"], "a")
    for name in (f"highwayman:{{{namespace}}}:talk:turn", f"highwayman:{{{namespace}}}:talk:{LOOSE}call"):
        assert 0 < await redis_client.ttl(name) <= 60
        await redis_client.delete(name)
    assert await memory.recall(["turn"]) == "a"
    clock.now += 61
    assert await memory.recall(["turn"]) is None


async def test_a_process_keeps_its_newest_entries_only(memories: Memories) -> None:
    memory = memories(entries=3)
    for key in "pqrs":
        memory.remember([key], "a")
    assert [await memory.recall([key]) for key in "pqrs"] == [None, "a", "a", "a"]


async def test_without_redis_the_process_knows_what_it_saw_and_asks_no_more_for_a_while(
    memories: Memories, clock: Clock
) -> None:
    gone = connect("redis://127.0.0.1:1", timeout_s=0.2)
    memory = memories(gone)
    memory.remember(["turn"], "a")
    await memory.share(["turn"], "a")
    assert await memory.recall(["call", "turn"]) == "a"
    started = time.perf_counter()
    for _ in range(100):
        assert await memory.recall(["call", "turn"]) == "a"
    assert time.perf_counter() - started < 1.0
    clock.now += 2.0
    assert await memory.recall(["call"]) is None  # asked again, in vain
    await gone.aclose()
