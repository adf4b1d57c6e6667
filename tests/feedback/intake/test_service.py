"""Feedback taken in with a real log: found, weighed, filed, held and taken back."""

from dataclasses import replace
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.types import Status
from highwayman.feedback.intake.pending import PendingCounts
from highwayman.feedback.intake.service import FeedbackReceipt
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.trust.influence_caps import InfluenceCaps
from tests.feedback.intake.desks import HOLD_S, THEY, WE, WINDOW_S, Intake, ids_of, intake
from tests.feedback.intake.tenants import OTHERS
from tests.feedback.worlds import outcome


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


async def test_what_is_said_under_an_id_that_was_sent_twice_is_about_the_answer_not_about_the_error_before(
    desk: Intake,
) -> None:
    held = await desk.say(request_id="twice", user="bob")
    failed, good, gone = [await desk.decide(request="twice") for _ in range(3)]
    await desk.store.put(replace(outcome(failed.id, status=Status.FAILED), tokens_out=0))
    await desk.store.put(replace(outcome(gone.id, status=Status.CLIENT_GONE), tokens_out=0))
    await desk.store.put(outcome(good.id))
    receipt = await desk.say(request_id="twice", user="ann")
    assert (held.state, receipt.decision_ids) == ("held", (good.id,))
    (imported,) = await desk.service.submit_all([FeedbackSubmission(FeedbackTarget("", "twice"), "thumbs", True)], WE)
    assert isinstance(imported, FeedbackReceipt)
    assert imported.decision_ids == (good.id,)
    await desk.service.pending.release(now=desk.clock.now)
    assert [said.weight for said in await desk.statements(good.id)] == [1.0, 1.0, 1.0]
    assert await desk.statements(failed.id) == await desk.statements(gone.id) == []


async def test_where_no_attempt_was_answered_what_is_said_is_about_them_all(desk: Intake) -> None:
    attempts = [await desk.decide(request="never well") for _ in range(2)]
    for attempt in attempts:
        await desk.store.put(replace(outcome(attempt.id, status=Status.TIMEOUT), tokens_out=0))
    assert (await desk.say(False, request_id="never well")).decision_ids == ids_of(attempts)


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
