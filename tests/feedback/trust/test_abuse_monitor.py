"""On a real Valkey: a key that floods is put in quarantine, and what it had said is quarantined by the next patrol."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from highwayman.env.reward import DEFAULT_SPEC
from highwayman.feedback.fold.join import is_quarantined
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.trust.abuse_monitor import AbuseMonitor
from highwayman.feedback.trust.anomaly_detector import AnomalyDetector, AnomalyKind, AnomalyThresholds, SuspectedKey
from highwayman.feedback.trust.quarantine import Quarantine
from tests.feedback.worlds import decision, thumb

DAY = 24 * 3600


class Book:
    """Keys in quarantine."""

    def __init__(self) -> None:
        self.since: dict[str, float | None] = {}
        self.suspicions: list[SuspectedKey] = []

    async def quarantined(self) -> dict[str, float | None]:
        return dict(self.since)

    async def quarantine_if_active(self, suspect: SuspectedKey) -> None:
        self.suspicions.append(suspect)
        self.since[suspect.key] = suspect.since


@pytest.fixture
def book() -> Book:
    return Book()


async def quarantined_count(store: Store, count: int) -> int:
    records = await store.records([f"d{number}" for number in range(count)])
    said = [(one, record) for record in records.values() for one in record.feedback.values()]
    return sum(is_quarantined(one, record.quarantine_toggles.get(one.id, ())) for one, record in said)


async def test_a_flood_is_quarantined_by_the_next_patrol_and_what_comes_after_by_those_that_follow(
    redis_client: Redis, namespace: str, book: Book
) -> None:
    store, retention = Store(redis_client, namespace), Retention(redis_client, namespace, window_s=7 * DAY)
    first = await store.put(decision("first"))
    now = int(first.partition("-")[0]) / 1000
    watchman = AbuseMonitor(
        AnomalyDetector(AnomalyThresholds(burst_floor=10.0, burst_young=10.0)), Quarantine(store, retention), retention,
        book, spec=DEFAULT_SPEC, clock=lambda: now + later[0],
    )  # fmt: skip
    later = [0.0]

    async def said(number: int) -> None:
        await store.put(decision(f"d{number}"))
        one = replace(thumb(f"d{number}", 1.0, at=now + number / 1000), key="key-x")
        await store.put(one)
        watchman.observe(one, await store.record(f"d{number}"))

    for number in range(15):
        await said(number)
    assert watchman.suspected_tenants() == {"default"}
    await watchman.sweep()
    assert [(one.key, one.why) for one in book.suspicions] == [("key-x", AnomalyKind.BURST)]
    assert await quarantined_count(store, 15) == 15
    await said(15)
    await watchman.sweep()
    assert await quarantined_count(store, 16) == 16
    assert watchman.suspected_tenants() == {"default"}
    later[0] = 11.0
    assert watchman.suspected_tenants() == frozenset()
    book.since.clear()
    await watchman.sweep()
    assert len(book.suspicions) == 1


async def test_statements_without_a_key_are_nobodys_flood(redis_client: Redis, namespace: str, book: Book) -> None:
    store, retention = Store(redis_client, namespace), Retention(redis_client, namespace, window_s=7 * DAY)
    watchman = AbuseMonitor(
        AnomalyDetector(AnomalyThresholds(burst_floor=1.0, burst_young=1.0)), Quarantine(store, retention), retention,
        book, spec=DEFAULT_SPEC, clock=lambda: 1e9,
    )  # fmt: skip
    await store.put(decision("d"))
    for _ in range(50):
        watchman.observe(thumb("d", 1.0), await store.record("d"))
    await watchman.sweep()
    assert book.suspicions == []
