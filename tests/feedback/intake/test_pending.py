"""Statements that wait in a real Valkey for decisions that are not known yet."""

from dataclasses import replace

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import StoreUnavailable
from highwayman.env.types import Decision, Feedback, Status
from highwayman.feedback.intake import pending as pending_module
from highwayman.feedback.intake.pending import PendingFeedback, PendingItem, pack_item, split_weight, unpack_item
from highwayman.feedback.log.store import Store
from tests.feedback.intake.tenants import NOW, Clock, decided, decision_ids
from tests.feedback.worlds import outcome, thumb

KEEP_S = 60.0
IDS = decision_ids(Clock())


class Waiting:
    """The statements of a namespace that wait, and its store."""

    def __init__(self, client: aioredis.Redis, namespace: str) -> None:
        self.store = Store(client, namespace)
        self.pending = PendingFeedback(client, namespace, self.store, keep_s=KEEP_S)

    async def names(self) -> list[str]:
        """The ids of what waits, in the order in which it is looked for."""
        return [item.feedback.id for _, item in await self.pending._all() if item is not None]

    async def decide(self, *links: str) -> Decision:
        made = decided(IDS, *links)
        await self.store.put(made)
        return made

    async def statements(self, made: Decision) -> list[Feedback]:
        return list((await self.store.record(made.id)).feedback.values())


@pytest.fixture
def waiting(redis_client: aioredis.Redis, namespace: str) -> Waiting:
    return Waiting(redis_client, namespace)


def said(name: str, *links: str, at: float = NOW, held_at: float | None = None) -> PendingItem:
    return PendingItem(replace(thumb("", 1.0, feedback_id=name), at=at, weight=0.5), links, held_at)


async def test_what_is_filed_waits_no_longer_and_what_is_not_found_yet_stays(waiting: Waiting) -> None:
    await waiting.pending.add_all([said("early", "r-1"), said("later", "r-2")])
    made = await waiting.decide("r-1")
    assert await waiting.pending.release(now=NOW + 1) == 1
    assert await waiting.names() == ["later"]
    assert await waiting.pending.release(now=NOW + 1) == 0  # nothing of it is filed again
    assert [(one.id, one.weight, one.at) for one in await waiting.statements(made)] == [("early", 0.5, NOW)]


async def test_what_is_said_of_a_whole_conversation_weighs_once_and_under_its_first_name_that_is_known(
    waiting: Waiting,
) -> None:
    await waiting.pending.add_all([said("s", "unknown", "conversation", "request")])
    turns = [await waiting.decide("conversation") for _ in range(2)]
    other = await waiting.decide("request")
    assert await waiting.pending.release(now=NOW) == 1
    assert [[one.weight for one in await waiting.statements(turn)] for turn in turns] == [[0.25], [0.25]]
    assert await waiting.statements(other) == []


async def test_a_statement_waits_so_long_and_no_longer_from_when_it_could_have_been_found(waiting: Waiting) -> None:
    await waiting.pending.add_all([said("at once", "r"), said("spooled", "r", held_at=NOW + 30.0)])
    assert await waiting.pending.release(now=NOW + KEEP_S) == 0
    assert await waiting.names() == ["at once", "spooled"]
    await waiting.pending.release(now=NOW + KEEP_S + 1)
    assert await waiting.names() == ["spooled"]
    await waiting.pending.release(now=NOW + 30.0 + KEEP_S + 1)
    assert await waiting.names() == []


async def test_a_statement_waits_for_the_attempt_that_is_answered_and_in_the_end_for_none(waiting: Waiting) -> None:
    await waiting.pending.add_all([said("early", "r-1"), said("of none", "r-2", at=NOW + 1)])
    failed, never = await waiting.decide("r-1"), await waiting.decide("r-2")
    for attempt in (failed, never):
        await waiting.store.put(replace(outcome(attempt.id, status=Status.FAILED), tokens_out=0))
    assert await waiting.pending.release(now=NOW + 1) == 0
    left = await waiting.decide("r-1")
    await waiting.store.put(replace(outcome(left.id, status=Status.CLIENT_GONE), tokens_out=3))
    good = await waiting.decide("r-1")
    await waiting.store.put(outcome(good.id))
    assert await waiting.pending.release(now=NOW + 1) == 1
    assert [len(await waiting.statements(made)) for made in (failed, left, good)] == [0, 0, 1]
    assert await waiting.pending.release(now=NOW + KEEP_S + 2) == 1
    assert len(await waiting.statements(never)) == 1


async def test_what_was_said_first_is_filed_first(waiting: Waiting) -> None:
    await waiting.pending.add_all([said(f"s-{n}", "r", at=NOW - n) for n in (1, 3, 2)])
    made = await waiting.decide("r")
    assert await waiting.pending.release(now=NOW) == 3
    assert [one.id for one in await waiting.statements(made)] == ["s-3", "s-2", "s-1"]


async def test_more_than_are_looked_up_together_are_all_found(waiting: Waiting) -> None:
    count = 2 * pending_module._TOGETHER + 1
    await waiting.pending.add_all([said(f"s-{n}", "r") for n in range(count)])
    made = await waiting.decide("r")
    assert await waiting.pending.release(now=NOW) == count
    assert await waiting.names() == []
    assert len(await waiting.statements(made)) == count


async def test_no_more_wait_than_may_and_those_that_do_stay(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_module, "_MOST", 2)
    await waiting.pending.add_all([said("one", "r"), said("two", "r")])
    with pytest.raises(StoreUnavailable, match="2 statements wait"):
        await waiting.pending.add_all([said("three", "r")])
    assert sorted(await waiting.names()) == ["one", "two"]


async def test_what_cannot_be_read_goes_and_keeps_nothing_else_from_being_filed(
    waiting: Waiting, redis_client: aioredis.Redis
) -> None:
    await waiting.pending.add_all([said("good", "r")])
    await redis_client.hset(waiting.pending._key, mapping={"bad": b"\xc1"})
    made = await waiting.decide("r")
    assert await waiting.pending.release(now=NOW) == 1
    assert len(await waiting.statements(made)) == 1
    assert await redis_client.hlen(waiting.pending._key) == 0


@pytest.mark.parametrize(("packed_at", "given", "read"), [(None, None, None), (5.0, None, 5.0), (None, 7.0, 7.0),
                                                          (5.0, 7.0, 7.0)])  # fmt: skip
def test_since_when_a_statement_waits_is_kept_unless_another_time_is_given(
    packed_at: float | None, given: float | None, read: float | None
) -> None:
    item = said("s", "one", "two", held_at=packed_at)
    assert unpack_item(pack_item(item), held_at=given) == replace(item, held_at=read)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x90", b"\x92\x90\x01"])
def test_damaged_bytes_are_no_statement(data: bytes) -> None:
    assert unpack_item(data) is None


def test_a_statement_is_shared_by_its_decisions_in_equal_parts() -> None:
    shares = split_weight(said("s").feedback, ["d", "e", "f", "g"])
    assert [(share.decision_id, share.weight) for share in shares] == [(name, 0.125) for name in "defg"]
