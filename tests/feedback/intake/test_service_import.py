"""Many statements taken in at once, with a real log."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from highwayman.env.errors import InvalidFeedback, StoreUnavailable
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.intake.service import FeedbackReceipt
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.writing.spool import claim_spools
from tests.feedback.intake.desks import WE, Intake, intake
from tests.feedback.intake.tenants import OURS
from tests.upstream_server import closed_url


def statement(value: Any, *, metric: str = "thumbs", user: str = "", **about: str) -> FeedbackSubmission:
    return FeedbackSubmission(FeedbackTarget(**about), metric, value, user=user or None)


async def test_an_import_is_filed_in_its_order_and_each_refusal_is_told_where_it_stands(desk: Intake) -> None:
    first, second = await desk.decide(request="r-1", conversation="c"), await desk.decide(conversation="c")
    results = await desk.service.submit_all(
        [
            statement(True, request_id="r-1", user="ann"),
            statement(True, conversation_id="c", user="bob"),
            statement(False, request_id="r-1", user="ann"),  # ann has changed her mind
            statement(True, request_id="r-1", metric="no-such"),
            statement(True, request_id="r-9", user="cay"),
            statement(False, decision_id=first.id, user="bob"),
        ],
        WE,
    )
    states = [result.state if isinstance(result, FeedbackReceipt) else type(result) for result in results]
    assert states == ["logged", "logged", "logged", InvalidFeedback, "held", "logged"]
    assert [said.value for said in await desk.statements(first.id)] == [1.0, 1.0, 0.0, 0.0]
    assert await desk.standing(first.id) == [0.0, 0.0]
    assert await desk.standing(second.id) == [1.0]
    later = await desk.decide(request="r-9")
    assert await desk.service.pending.release(now=desk.clock.now) == 1
    assert await desk.standing(later.id) == [1.0]
    assert len(desk.filed) == 4


async def test_an_import_is_looked_up_a_hundred_at_a_time_and_what_is_held_is_found_so(desk: Intake) -> None:
    together: list[int] = []

    async def alone(name: str) -> Sequence[str]:
        raise AssertionError(f"{name} was looked up by itself")

    async def all_of(names: Sequence[str]) -> dict[str, list[str]]:
        together.append(len(names))
        return await desk.store.linked_decisions_of(names)

    targets = replace(desk.service.targets, linked_decisions=alone, linked_decisions_of=all_of)
    service = replace(desk.service, targets=targets)
    made = [await desk.decide(request=f"r-{number}") for number in range(150)]
    submissions = [statement(True, request_id=f"r-{number}", user=f"u-{number}") for number in range(300)]
    results = await service.submit_all(submissions, WE)
    assert together == [100, 100, 100]
    states = [result.state for result in results if isinstance(result, FeedbackReceipt)]
    assert states == ["logged"] * 150 + ["held"] * 150
    assert await desk.standing(made[149].id) == [1.0]
    later = [await desk.decide(request=f"r-{number}") for number in range(150, 300)]
    assert await desk.service.pending.release(now=desk.clock.now) == 150
    assert await desk.standing(later[149].id) == [1.0]


async def test_an_import_without_redis_is_held_as_single_statements_are(tmp_path: Path) -> None:
    gone = connect(closed_url().replace("http", "redis"))
    async with intake(gone, "nowhere", tmp_path) as away:
        spools = claim_spools(tmp_path / "held", limit_bytes=1 << 20)
        spool = PendingSpool(spools, away.service.pending, away.clock)
        service = replace(away.service, pending_spool=spool)
        own = away.service.targets.ids.issue(OURS)
        results = await service.submit_all(
            [statement(True, request_id="r-1"), statement(True, decision_id=own), statement(True, request_id="r-2")], WE
        )
        states = [result.state for result in results if isinstance(result, FeedbackReceipt)]
        assert states == ["held", "spooled", "held"]
        assert len(spool) == 2
        refused = await away.service.submit_all([statement(True, request_id="r-1")], WE)  # nothing holds it
        assert [type(result) for result in refused] == [StoreUnavailable]
    await gone.aclose()
