"""Events that wait on the disk while Redis is away."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from highwayman.env.errors import InvalidFeedback, StoreUnavailable
from highwayman.env.types import Feedback
from highwayman.feedback.log.event_id import EventId
from highwayman.feedback.log.store import MOST_TOGETHER, Written
from highwayman.feedback.log.writing.event_spools import EventSpools
from highwayman.feedback.log.writing.queued_write import DeliveryOutcome, QueuedWrite, WritabilityCheck
from highwayman.feedback.log.writing.spool import claim_spools
from tests.feedback.worlds import decision, outcome, thumb

Outcomes = Counter[tuple[DeliveryOutcome, str]]


class Log:
    """Takes what is drained."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Written]] = []

    async def put_all(self, events: Sequence[Written]) -> None:
        self.batches.append(events)

    @property
    def ids(self) -> list[str]:
        return [
            event.decision_id if not hasattr(event, "id") else event.id for batch in self.batches for event in batch
        ]


def event_spools(folder: Path, outcomes: Outcomes, *, limit_bytes: int = 1 << 20) -> EventSpools:
    def on_delivery_outcome(fate: DeliveryOutcome, kind: str) -> None:
        outcomes[fate, kind] += 1

    spools = claim_spools(folder, limit_bytes=limit_bytes)
    return EventSpools(spools, WritabilityCheck(on_delivery_outcome), on_delivery_outcome)


def queued(*events: Written) -> list[QueuedWrite]:
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[EventId | None]] = [loop.create_future() for _ in events]
    return list(zip(events, futures, strict=True))


async def test_what_dead_processes_left_beside_an_empty_spool_of_ones_own_is_drained(tmp_path: Path) -> None:
    (tmp_path / "0000.spool").touch()  # of a process that was killed, and had nothing waiting
    (tmp_path / "0001.spool").touch()
    first, second = claim_spools(tmp_path, limit_bytes=1 << 20)
    check, outcomes, log = WritabilityCheck(lambda fate, kind: None), Outcomes(), Log()
    EventSpools([second], check, lambda fate, kind: None).append(queued(decision("left")))
    both = EventSpools([first, second], check, lambda fate, kind: outcomes.update([(fate, kind)]))
    assert len(both) == 1
    await both.drain(log.put_all)
    assert log.ids == ["left"]
    assert len(both) == 0
    assert outcomes == {(DeliveryOutcome.DRAINED, "d"): 1}
    await both.close()


async def test_a_decision_is_acknowledged_at_once_and_feedback_once_it_is_on_the_disk(tmp_path: Path) -> None:
    outcomes = Outcomes()
    spools = event_spools(tmp_path, outcomes)
    (_, at_once), (_, later) = batch = queued(decision("d"), thumb("d", 1.0))
    spools.append(batch)
    assert (at_once.done(), later.done()) == (True, False)
    assert await asyncio.wait_for(later, 10) is None
    assert outcomes == {(DeliveryOutcome.SPOOLED, "d"): 1, (DeliveryOutcome.SPOOLED, "f"): 1}
    assert len(spools) == 2
    await spools.close()


async def test_a_full_spool_refuses_feedback_to_its_sender_and_counts_what_else_is_lost(tmp_path: Path) -> None:
    outcomes = Outcomes()
    spools = event_spools(tmp_path, outcomes, limit_bytes=16)
    (_, lost), (_, refused) = batch = queued(outcome("d"), thumb("d", 1.0))
    spools.append(batch)
    assert lost.result() is None
    with pytest.raises(StoreUnavailable, match=r"Redis is away, and the spool .* Try again later"):
        refused.result()
    assert outcomes == {(DeliveryOutcome.LOST, "o"): 1}
    assert len(spools) == 0
    await spools.close()


async def test_what_cannot_be_written_is_set_aside_and_what_comes_after_it_is_kept(tmp_path: Path) -> None:
    outcomes = Outcomes()
    spools = event_spools(tmp_path, outcomes)
    (_, refused), (_, kept) = batch = queued(replace(thumb("d", 1.0), text="\ud800"), decision("e"))
    spools.append(batch)
    with pytest.raises(InvalidFeedback):
        refused.result()
    assert kept.result() is None
    assert len(spools) == 1
    await spools.close()


async def test_more_than_go_together_are_drained_in_order_and_nothing_twice(tmp_path: Path) -> None:
    spools, log = event_spools(tmp_path, Outcomes()), Log()
    names = [str(n) for n in range(MOST_TOGETHER + 3)]
    spools.append(queued(*map(decision, names)))
    await spools.drain(log.put_all)
    assert [len(batch) for batch in log.batches] == [MOST_TOGETHER, 3]
    assert log.ids == names
    await spools.drain(log.put_all)
    assert log.ids == names
    await spools.close()


async def test_what_could_not_be_put_waits_for_the_next_time(tmp_path: Path) -> None:
    async def away(events: Sequence[Written]) -> None:
        raise StoreUnavailable("away")

    outcomes, log = Outcomes(), Log()
    spools = event_spools(tmp_path, outcomes)
    spools.append(queued(decision("d")))
    with pytest.raises(StoreUnavailable):
        await spools.drain(away)
    assert outcomes[DeliveryOutcome.DRAINED, "d"] == 0
    await spools.drain(log.put_all)
    assert log.ids == ["d"]
    await spools.close()


async def test_what_cannot_be_read_is_dropped_and_nothing_is_put_in_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (spool,) = claim_spools(tmp_path, limit_bytes=1 << 20)
    spools, log = EventSpools([spool], WritabilityCheck(lambda fate, kind: None), lambda fate, kind: None), Log()
    spool.append([b"\xc1"])
    spools.append(queued(decision("d")))
    spool.append([b"\xc1"])
    await spools.drain(log.put_all)
    assert log.ids == ["d"]
    assert len(spools) == 0
    assert caplog.text.count("an event of the spool is dropped") == 2
    await spools.close()


async def test_closing_waits_for_feedback_that_is_being_synced(tmp_path: Path) -> None:
    spools = event_spools(tmp_path, Outcomes())
    ((_, synced),) = batch = queued(thumb("d", 1.0))
    spools.append(batch)
    await spools.close()
    assert synced.result() is None
    assert isinstance(batch[0][0], Feedback)
