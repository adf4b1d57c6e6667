"""The newest calls, read from a real log as it grows."""

from redis.asyncio import Redis

from highwayman.env.types import Mode
from highwayman.feedback.log.history import LogHistory
from highwayman.feedback.log.store import Store
from highwayman.serving.dashboard.arms.recent_calls import RecentCalls
from tests.feedback.worlds import decision, outcome


async def test_what_came_since_the_last_look_is_added_and_the_oldest_go(redis_client: Redis, namespace: str) -> None:
    store, now = Store(redis_client, namespace), [0.0]
    recent = RecentCalls(LogHistory(redis_client, namespace), most=2, timer=lambda: now[0])
    await store.put_all([decision("a"), outcome("a"), decision("b"), decision("shadow", mode=Mode.SHADOW)])
    assert [(call.decision.id, call.answer is not None) for call in await recent.all()] == [("a", True), ("b", False)]
    await store.put_all([outcome("b"), decision("c")])
    assert [call.decision.id for call in await recent.all()] == ["a", "b"]  # looked a moment ago
    now[0] = 10.0
    assert [(call.decision.id, call.answer is not None) for call in await recent.all()] == [("b", True), ("c", False)]
