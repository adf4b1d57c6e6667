"""Feedback taken in with a real log: found, weighed, filed, held and taken back."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import InvalidFeedback, StoreUnavailable, UnknownDecision
from highwayman.env.metric import boolean_metric
from highwayman.env.reward import reward_spec
from highwayman.env.tasks import cancel_and_wait
from highwayman.env.types import Decision, Feedback
from highwayman.feedback.calibration.calibrator import CalibrationSettings, Calibrator
from highwayman.feedback.fold.tallies.calibration_counts import CalibrationCounts
from highwayman.feedback.intake.influence_weights import InfluenceWeights
from highwayman.feedback.intake.pending import PendingCounts, PendingFeedback
from highwayman.feedback.intake.pending_retraction import PendingRetraction
from highwayman.feedback.intake.pending_spool import PendingSpool
from highwayman.feedback.intake.retraction import FiledStatements
from highwayman.feedback.intake.service import FeedbackReceipt, FeedbackService
from highwayman.feedback.intake.statement_calibration import StatementCalibration
from highwayman.feedback.intake.statements import StatementBuilder
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.intake.targets import TargetResolver
from highwayman.feedback.log.redis.redis import connect
from highwayman.feedback.log.store import Store
from highwayman.feedback.log.writing.journal import Journal
from highwayman.feedback.log.writing.spool import claim_spools
from highwayman.feedback.trust.influence_caps import InfluenceCaps, InfluenceLimiter
from highwayman.feedback.trust.principal import Principal
from tests.feedback.intake.tenants import OTHERS, OURS, Clock, decided, decision_ids
from tests.upstream_server import closed_url

WINDOW_S, HOLD_S = 600.0, 60.0
SPEC = reward_spec([boolean_metric("graded", senders="grader")])
_TARGETS = [field.name for field in fields(FeedbackTarget)]
WE, THEY = Principal(OURS, key_id="k-1"), Principal(OTHERS)


@dataclass(frozen=True, slots=True)
class Intake:
    """A service, and what stands behind it."""

    service: FeedbackService
    store: Store
    clock: Clock
    filed: list[Feedback]  # what the service told of

    async def decide(self, *, request: str = "", conversation: str = "", tenant: str = OURS) -> Decision:
        """A decision on the log, under ids that the client sent along."""
        ids = self.service.targets.ids
        named = (("request", request), ("conversation", conversation))
        made = decided(ids, *(ids.link(kind, name, tenant) for kind, name in named if name), tenant=tenant)
        await self.store.put(made)
        return made

    async def say(
        self, value: Any = True, *, principal: Principal = WE, metric: str = "thumbs", **more: Any
    ) -> FeedbackReceipt:
        """Submit a statement; what names its target is told from the rest."""
        about = {name: more.pop(name) for name in _TARGETS if name in more}
        self.clock.now += 1.0
        return await self.service.submit(FeedbackSubmission(FeedbackTarget(**about), metric, value, **more), principal)

    async def retract(self, feedback_id: str, *, principal: Principal = WE, source: str | None = None) -> Any:
        self.clock.now += 1.0
        return await self.service.retract(feedback_id, principal, source=source)

    async def statements(self, decision_id: str) -> list[Feedback]:
        """What the record holds of a decision, in log order."""
        return list((await self.store.record(decision_id)).feedback.values())

    async def standing(self, decision_id: str) -> list[float]:
        """The values that count for a decision's reward."""
        contributions = SPEC.contributions(await self.statements(decision_id))
        return [part.feedback.value for part in contributions if part.weight and part.feedback.value is not None]


@asynccontextmanager
async def intake(
    client: aioredis.Redis, namespace: str, folder: Path, *, caps: InfluenceCaps | None = None
) -> AsyncIterator[Intake]:
    clock, filed = Clock(), list[Feedback]()
    store, ids = Store(client, namespace), decision_ids(clock)
    journal = Journal(
        store,
        claim_spools(folder / "spools", limit_bytes=1 << 20),
        writer=secrets.token_hex(4),
        clock=time.monotonic,
        patience_s=10.0,  # a machine that is busy is no Redis that is away
        on_delivery_outcome=lambda fate, kind: None,
    )
    calibrator = Calibrator(SPEC, CalibrationCounts, CalibrationSettings())
    service = FeedbackService(
        spec=SPEC,
        targets=TargetResolver(ids, store.linked_decisions, clock, WINDOW_S, store.linked_decisions_of),
        statements=StatementBuilder(ids, SPEC, store.record, clock),
        influence_weights=InfluenceWeights(InfluenceLimiter(caps or InfluenceCaps())),
        calibration=StatementCalibration(calibrator, store.records),
        filed=FiledStatements(ids, store.linked_decisions, store.records),
        journal=journal,
        pending=PendingFeedback(client, namespace, store, keep_s=HOLD_S),
        clock=clock,
        on_feedback=filed.append,
    )
    running = asyncio.create_task(journal.run())
    try:
        yield Intake(service, store, clock, filed)
    finally:
        await cancel_and_wait(running)
        await store.close()


@pytest.fixture
async def desk(redis_client: aioredis.Redis, namespace: str, tmp_path: Path) -> AsyncIterator[Intake]:
    async with intake(redis_client, namespace, tmp_path) as started:
        yield started


def ids_of(decisions: Sequence[Decision]) -> tuple[str, ...]:
    return tuple(made.id for made in decisions)


async def test_feedback_by_a_decisions_id_is_filed_under_it(desk: Intake) -> None:
    made = await desk.decide()
    receipt = await desk.say(decision_id=made.id, user="ann", comment="well said")
    (filed,) = await desk.statements(made.id)
    assert receipt == FeedbackReceipt(f"{made.id}:{filed.id}", (made.id,), 1.0, "logged")
    assert (filed.value, filed.text, filed.key, filed.at) == (1.0, "well said", "k-1", desk.clock.now)
    assert filed.user == desk.service.statements.ids.pseudonym("ann")
    assert desk.filed == [replace(filed, decision_id="")]


async def test_feedback_by_request_id_finds_the_decision_made_under_it(desk: Intake) -> None:
    made, other = await desk.decide(request="r-1"), await desk.decide(request="r-2")
    receipt = await desk.say(request_id="r-1")
    assert receipt.decision_ids == (made.id,)
    assert await desk.standing(made.id) == [1.0]
    assert await desk.standing(other.id) == []


async def test_feedback_on_a_conversation_is_said_once_and_shared_by_its_decisions(desk: Intake) -> None:
    turns = [await desk.decide(conversation="c") for _ in range(4)]
    receipt = await desk.say(conversation_id="c")
    assert set(receipt.decision_ids) == set(ids_of(turns))
    for turn in turns:
        (filed,) = await desk.statements(turn.id)
        assert (filed.value, filed.weight) == (1.0, 0.25)
    assert [statement.weight for statement in desk.filed] == [1.0]


async def test_feedback_before_its_decision_is_held_and_filed_once_that_is_there(desk: Intake) -> None:
    receipt = await desk.say(request_id="early")
    assert (receipt.state, receipt.decision_ids) == ("held", ())
    assert desk.filed == []
    assert await desk.service.pending.release(now=desk.clock.now) == 0
    made = await desk.decide(request="early")
    assert await desk.service.pending.release(now=desk.clock.now) == 1
    assert await desk.standing(made.id) == [1.0]
    assert (await desk.retract(receipt.id)).decision_ids == (made.id,)
    assert await desk.standing(made.id) == []


async def test_feedback_whose_decision_never_comes_is_held_no_longer_than_it_may_be(desk: Intake) -> None:
    await desk.say(request_id="never")
    await desk.service.pending.release(now=desk.clock.now + HOLD_S + 1)
    made = await desk.decide(request="never")
    assert await desk.service.pending.release(now=desk.clock.now) == 0
    assert await desk.statements(made.id) == []


@pytest.mark.parametrize("target", ["decision_id", "request_id", "conversation_id"])
async def test_feedback_on_a_decision_that_is_too_old_is_refused(target: str, desk: Intake) -> None:
    made = await desk.decide(request="x", conversation="x")
    desk.clock.now += WINDOW_S + 1
    with pytest.raises(UnknownDecision, match="no longer takes feedback"):
        await desk.say(**{target: made.id if target == "decision_id" else "x"})
    assert await desk.statements(made.id) == []


async def test_nothing_can_be_said_of_somebody_elses_decision_nor_taken_back(desk: Intake) -> None:
    theirs = await desk.decide(request="x", tenant=OTHERS)
    filed = await desk.say(decision_id=theirs.id, principal=THEY)
    with pytest.raises(UnknownDecision):
        await desk.say(False, decision_id=theirs.id)
    assert (await desk.say(False, request_id="x")).state == "held"  # it may yet become one of ours
    with pytest.raises(UnknownDecision):
        await desk.retract(filed.id)
    assert await desk.standing(theirs.id) == [1.0]


async def test_a_statement_is_taken_back_by_the_id_in_its_receipt_as_often_as_one_likes(desk: Intake) -> None:
    made = await desk.decide()
    receipt = await desk.say(decision_id=made.id, user="ann")
    for _ in range(2):
        assert await desk.retract(receipt.id) == FeedbackReceipt(receipt.id, (made.id,), None, "logged")
        assert await desk.standing(made.id) == []
    assert len(await desk.statements(made.id)) == 2  # the second time, there was nothing left to take back


async def test_what_replaced_a_statement_is_not_taken_back_with_it(desk: Intake) -> None:
    made = await desk.decide()
    first = await desk.say(True, decision_id=made.id, user="ann")
    await desk.say(False, decision_id=made.id, user="ann")
    await desk.retract(first.id)
    assert await desk.standing(made.id) == [0.0]


async def test_a_statement_on_a_conversation_is_taken_back_on_each_of_its_decisions(desk: Intake) -> None:
    turns = [await desk.decide(conversation="c") for _ in range(3)]
    receipt = await desk.say(conversation_id="c")
    taken_back = await desk.retract(receipt.id)
    assert set(taken_back.decision_ids) == set(ids_of(turns))
    assert [await desk.standing(turn.id) for turn in turns] == [[], [], []]


async def test_a_sender_takes_its_statement_back_by_the_id_it_gave_it(desk: Intake) -> None:
    made = await desk.decide()
    await desk.say(decision_id=made.id, source="langfuse", external_id="s-1")
    with pytest.raises(UnknownDecision, match="No feedback with this id"):
        await desk.retract("s-1", source="slack")
    await desk.retract("s-1", source="langfuse")
    assert await desk.standing(made.id) == []


async def test_said_again_with_its_idempotency_key_a_statement_counts_once(desk: Intake) -> None:
    made = await desk.decide(request="r")
    first = await desk.say(True, request_id="r", idempotency_key="k")
    again = await desk.say(False, request_id="r", idempotency_key="k")
    assert first.id == again.id
    assert await desk.standing(made.id) == [1.0]


async def test_a_metric_is_said_only_by_those_who_may(desk: Intake) -> None:
    made = await desk.decide()
    with pytest.raises(InvalidFeedback, match="metric 'graded' is said by grader only"):
        await desk.say(decision_id=made.id, metric="graded")
    await desk.say(decision_id=made.id, metric="graded", source="grader")
    assert await desk.standing(made.id) == [1.0]


async def test_an_unknown_metric_and_an_unfit_value_are_refused_and_nothing_is_filed(desk: Intake) -> None:
    made = await desk.decide()
    with pytest.raises(InvalidFeedback, match="unknown metric 'applause'"):
        await desk.say(decision_id=made.id, metric="applause")
    with pytest.raises(InvalidFeedback, match="takes true or false"):
        await desk.say(2, decision_id=made.id)
    assert await desk.statements(made.id) == []


async def test_who_has_said_too_much_weighs_no_more_and_a_change_of_mind_costs_nothing(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    async with intake(redis_client, namespace, tmp_path, caps=InfluenceCaps(grace=2.0)) as capped:
        decisions = [await capped.decide() for _ in range(3)]
        for made in decisions:
            await capped.say(True, decision_id=made.id, user="ann")
        await capped.say(False, decision_id=decisions[0].id, user="ann")
        weights = [[filed.weight for filed in await capped.statements(made.id)] for made in decisions]
    assert weights == [[1.0, 1.0], [1.0], [pytest.approx(0.0, abs=1e-3)]]


async def test_a_judges_score_weighs_a_quarter_before_thumbs_say_what_it_is_worth(desk: Intake) -> None:
    made = await desk.decide()
    await desk.say(0.5, decision_id=made.id, metric="judge", source="judge")
    assert [filed.weight for filed in await desk.statements(made.id)] == [0.25]


async def test_feedback_from_a_key_in_quarantine_is_kept_and_does_not_count(desk: Intake) -> None:
    made = await desk.decide()
    await desk.say(decision_id=made.id, principal=replace(WE, quarantined=True))
    assert [filed.quarantined for filed in await desk.statements(made.id)] == [True]


async def test_what_becomes_of_a_statement_that_waits_is_counted(desk: Intake) -> None:
    pending = desk.service.pending
    for name in ("joined", "late", "withdrawn"):
        await desk.say(request_id=name, external_id=name, source="app")
    assert await pending.counts() == PendingCounts(waiting=3, held=3)
    await desk.decide(request="joined")
    assert await pending.release(now=desk.clock.now) == 1
    receipt = await desk.retract("withdrawn", source="app")
    assert (receipt.state, receipt.decision_ids) == ("withdrawn", ())
    assert await pending.release(now=desk.clock.now + HOLD_S + 1) == 0
    assert await pending.counts() == PendingCounts(waiting=0, held=3, joined=1, expired=1, withdrawn=1)


async def test_a_statement_that_was_taken_back_while_it_waited_is_never_filed(desk: Intake) -> None:
    receipt = await desk.say(request_id="r")
    assert (await desk.retract(receipt.id)).state == "withdrawn"
    with pytest.raises(UnknownDecision):
        await desk.retract(receipt.id)
    made = await desk.decide(request="r")
    assert await desk.service.pending.release(now=desk.clock.now) == 0
    assert await desk.statements(made.id) == []


async def test_without_redis_a_decisions_id_is_enough_and_a_name_that_must_be_looked_up_is_not(tmp_path: Path) -> None:
    client = connect(closed_url().replace("http", "redis"))
    async with intake(client, "nowhere", tmp_path) as alone:
        name = alone.service.targets.ids.issue(OURS)
        assert (await alone.say(decision_id=name)).state == "spooled"
        with pytest.raises(StoreUnavailable):
            await alone.say(request_id="r-1")
    await client.aclose()


async def test_with_a_spool_what_names_a_decision_is_taken_without_redis_and_found_once_that_is_back(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    def spool(client: aioredis.Redis, clock: Clock) -> PendingSpool:
        spools = claim_spools(tmp_path / "held", limit_bytes=1 << 20)
        return PendingSpool(spools, PendingFeedback(client, namespace, Store(client, namespace), keep_s=HOLD_S), clock)

    gone = connect(closed_url().replace("http", "redis"))
    async with intake(gone, namespace, tmp_path / "away") as away:
        held = spool(gone, away.clock)
        waiting = asyncio.create_task(held.run(away.service.retract_held))
        service = replace(away.service, pending_spool=held)
        alone = replace(away, service=service)
        for about in ({"request_id": "r"}, {"conversation_id": "c"}, {"request_id": "t", "generation_id": "g"}):
            receipt = await alone.say(**about)
            assert (receipt.state, receipt.decision_ids) == ("held", ())
        with pytest.raises(InvalidFeedback):
            await alone.say()  # of nothing
        assert len(held) == 3
        await cancel_and_wait(waiting)  # the process ends; another finds what waits
    await gone.aclose()
    async with intake(redis_client, namespace, tmp_path / "back") as desk:
        made = [await desk.decide(request="r"), await desk.decide(conversation="c"), await desk.decide(request="g")]
        trace = await desk.decide(request="t")
        desk.clock.now += 2 * HOLD_S  # Redis was away for longer than anything is held
        held = spool(redis_client, desk.clock)
        waiting = asyncio.create_task(held.run(desk.service.retract_held))
        async with asyncio.timeout(10):
            while len(held):
                await asyncio.sleep(0.01)
        await cancel_and_wait(waiting)
        assert await desk.service.pending.release(now=desk.clock.now) == 3
        assert [await desk.standing(decision.id) for decision in made] == [[1.0], [1.0], [1.0]]
        assert await desk.standing(trace.id) == []


async def test_a_spool_that_is_full_refuses_what_it_cannot_keep(tmp_path: Path) -> None:
    gone = connect(closed_url().replace("http", "redis"))
    async with intake(gone, "nowhere", tmp_path) as away:
        spools = claim_spools(tmp_path / "held", limit_bytes=64)
        service = replace(away.service, pending_spool=PendingSpool(spools, away.service.pending, away.clock))
        with pytest.raises(StoreUnavailable, match="Redis is away, and the spool"):
            await replace(away, service=service).say(request_id="r")
    await gone.aclose()


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


async def test_what_is_to_be_taken_back_without_redis_is_taken_back_once_it_is_found_and_what_was_said_later_stands(
    redis_client: aioredis.Redis, namespace: str, tmp_path: Path
) -> None:
    gone = connect(closed_url().replace("http", "redis"))
    async with intake(redis_client, namespace, tmp_path / "desk") as desk:
        made, other = await desk.decide(request="r"), await desk.decide(request="s")
        direct = await desk.say(decision_id=made.id, user="ann")
        await desk.say(request_id="r", source="app", external_id="f-1", user="bob")
        spools = claim_spools(tmp_path / "held", limit_bytes=1 << 20)
        spool = PendingSpool(spools, desk.service.pending, desk.clock)
        async with intake(gone, namespace, tmp_path / "away") as away:
            away.clock.now = desk.clock.now
            alone = replace(away, service=replace(away.service, pending_spool=spool))
            assert (await alone.retract(direct.id)).state == "held"
            assert (await alone.retract("f-1", source="app")).state == "held"
            assert (await alone.retract("f-2", source="app")).state == "held"  # of what is still on its way
            with pytest.raises(StoreUnavailable):
                await away.retract(direct.id)  # nothing holds it
            said_at = away.clock.now
        desk.clock.now = said_at + 1.0
        await desk.say(request_id="r", source="app", external_id="f-1", user="bob")  # said again, after all
        running = asyncio.create_task(spool.run(desk.service.retract_held))
        async with asyncio.timeout(10):
            while len(spool) > 1:
                await asyncio.sleep(0.01)
        assert await desk.standing(made.id) == [1.0]  # bob's
        desk.clock.now = said_at - 2.0  # it was said before
        await desk.say(request_id="s", source="app", external_id="f-2", user="cay")
        async with asyncio.timeout(10):
            while len(spool):
                await asyncio.sleep(0.01)
        assert await desk.standing(other.id) == []
        await cancel_and_wait(running)
    await gone.aclose()


async def test_what_is_to_be_taken_back_and_is_not_found_in_time_is_given_up(desk: Intake, tmp_path: Path) -> None:
    spool = PendingSpool(claim_spools(tmp_path / "held", limit_bytes=1 << 20), desk.service.pending, desk.clock)
    await spool.add_retraction(PendingRetraction("nothing", OURS, None, desk.clock.now))
    running = asyncio.create_task(spool.run(desk.service.retract_held))
    await asyncio.sleep(0.1)  # it is looked for once
    assert len(spool) == 1
    desk.clock.now += HOLD_S + 1.0
    async with asyncio.timeout(10):
        while len(spool):
            await asyncio.sleep(0.01)
    await cancel_and_wait(running)
