import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from highwayman.env.tasks import cancel_and_wait
from highwayman.feedback.log.event_id import sort_key
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.upkeep.retention import Retention
from highwayman.feedback.log.writing.outcome_journal import OutcomeJournal
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.serving.processes.embedded_valkey import EmbeddedValkey
from tests.feedback.worlds import decision, outcome

Told = list[tuple[str, str | None]]


@asynccontextmanager
async def journal(url: str, folder: Path, told: Told, namespace: str) -> AsyncIterator[OutcomeJournal]:
    client = connect(url)
    found = OutcomeJournal(
        Store(client, namespace),
        claim_spools(folder / "spools", limit_bytes=1 << 20),
        writer="me",
        clock=time.monotonic,
        patience_s=0.2,
        on_delivery_outcome=lambda outcome, kind: None,
        on_logged=lambda ended, event_id: told.append((ended.decision_id, event_id)),
        on_drained=lambda event_id: told.append(("drained", event_id)),
    )
    running = asyncio.create_task(found.run())
    try:
        yield found
    finally:
        await cancel_and_wait(running)
        await client.aclose()


async def test_each_outcome_is_told_with_its_place_on_the_log_and_an_erased_one_with_none(
    valkey_url: str, namespace: str, tmp_path: Path
) -> None:
    told: Told = []
    async with journal(valkey_url, tmp_path, told, namespace) as writes:
        await writes.put(decision("d"))
        assert not told
        place = await writes.put(outcome("d"))
        assert place is not None
        assert told == [("d", place)]
        await writes.put(decision("e"))
        client = connect(valkey_url)
        await Retention(client, namespace, window_s=60).put_erasure("e", feedback=[], known=[], at=1.0)
        await client.aclose()
        assert await writes.put(outcome("e")) is None
    assert [name for name, _ in told] == ["d", "e"]
    assert told[1] == ("e", None)


async def test_what_was_spooled_stands_before_the_next_outcome_that_is_told_a_place(tmp_path: Path) -> None:
    """What the ledger builds on: once something is written directly, nothing waits in the spool any more."""
    told: Told = []
    valkey = EmbeddedValkey(tmp_path / "valkey")
    await valkey.start()
    try:
        async with journal(valkey.url, tmp_path, told, "test") as writes:
            await valkey.stop()
            await writes.put(outcome("during"))
            await valkey.start()
            async with asyncio.timeout(20):
                while writes.degraded:
                    await asyncio.sleep(0.01)
            told_by_then = [*told]
            await writes.put(outcome("after"))
        client = connect(valkey.url)
        records = await Store(client, "test").records(["during", "after"])
        await client.aclose()
    finally:
        await valkey.stop()
    assert [name for name, _ in told] == ["during", "drained", "after"]
    assert told[0][1] is None
    place = records["during"].outcome_id
    assert place is not None
    assert told_by_then[1:] == [("drained", place)]
    assert told[2][1] == records["after"].outcome_id
    assert sort_key(place) < sort_key(str(told[2][1]))
