"""What of a statement stands, and how it is taken back."""

from dataclasses import replace

import pytest

from highwayman.env.errors import UnknownDecision
from highwayman.env.types import Decision, Feedback
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.feedback_ids import link_of, linked_id, public_id
from highwayman.feedback.intake.retraction import FiledStatement, FiledStatements, retraction_of, standing_under
from highwayman.feedback.log.record import Record
from tests.feedback.intake.tenants import OTHERS, OURS, Clock, Links, Records, decided, decision_ids, record_of
from tests.feedback.worlds import thumb


@pytest.fixture
def ids() -> DecisionIds:
    return decision_ids(Clock())


def filed(ids: DecisionIds, decisions: list[Decision], *records: Record) -> FiledStatements:
    return FiledStatements(ids, Links(decisions), Records(records))


def standing_of(record: Record, link: str) -> dict[str, Feedback | None]:
    return standing_under(link, {"d": record})


def test_the_newest_under_a_link_stands_by_when_it_was_accepted_not_by_its_place_on_the_log() -> None:
    later, earlier = (thumb("d", value, at=at, feedback_id=f"l.{at}") for value, at in ((1.0, 2.0), (0.0, 1.0)))
    made = decided(decision_ids(Clock()))
    assert standing_of(record_of(made, later, earlier), "l") == {"d": later}


def test_a_statement_that_the_same_person_and_source_replaced_or_took_back_does_not_stand() -> None:
    made = decided(decision_ids(Clock()))
    said = thumb("d", 1.0, user="ann", at=1.0, feedback_id="mine")
    replaced = thumb("d", 0.0, user="ann", at=2.0, feedback_id="newer")
    assert standing_of(record_of(made, said, replaced), "mine") == {"d": None}
    assert standing_of(record_of(made, said, replace(replaced, value=None)), "mine") == {"d": None}
    for other in (
        replace(replaced, user="ben"),
        replace(replaced, source="grader"),
        replace(replaced, metric="rating"),
    ):
        assert standing_of(record_of(made, said, other), "mine") == {"d": said}


def test_nothing_is_filed_under_a_link_that_no_statement_has() -> None:
    assert standing_of(record_of(decided(decision_ids(Clock())), thumb("d", 1.0)), "nothing") == {}


def test_a_retraction_says_nothing_any_more_of_the_same_metric_under_the_same_link_and_an_id_of_its_own() -> None:
    linked = thumb("d", 1.0, user="ann", feedback_id=linked_id("l"))
    taken_back = retraction_of(linked, at=9.0)
    assert link_of(taken_back.id) == "l"
    assert taken_back.id != linked.id
    assert taken_back == replace(linked, id=taken_back.id, at=9.0, value=None)
    plain = thumb("d", 1.0)
    assert link_of(retraction_of(plain, at=9.0).id) != link_of(plain.id)


def test_what_does_not_stand_is_not_taken_back_again() -> None:
    said = thumb("d", 1.0)
    statement = FiledStatement("id", {"d": said, "e": None})
    assert [(taken.decision_id, taken.value) for taken in statement.retractions(at=9.0)] == [("d", None)]


async def test_a_statement_is_found_by_its_decision_and_its_own_id(ids: DecisionIds) -> None:
    made = decided(ids)
    said = thumb(made.id, 1.0, feedback_id="mine")
    statements = filed(ids, [], record_of(made, said))
    assert await statements.find(public_id(said), OURS) == FiledStatement(f"{made.id}:mine", {made.id: said})


async def test_a_statement_on_a_conversation_is_found_on_each_of_its_decisions(ids: DecisionIds) -> None:
    decisions = [decided(ids, "l") for _ in range(2)]
    said = [thumb(made.id, 1.0, feedback_id="l.1") for made in decisions]
    records = [record_of(made, statement) for made, statement in zip(decisions, said, strict=True)]
    statement = await filed(ids, decisions, *records).find("l", OURS)
    assert statement == FiledStatement("l", {statement.decision_id: statement for statement in said})


async def test_a_sender_finds_its_statement_by_the_id_it_gave_it_under_an_older_secret_too() -> None:
    before = decision_ids(Clock(), secrets=[b"old"])
    link = before.link("langfuse", "s-1", OURS)
    made = decided(before, link)
    said = thumb(made.id, 1.0, feedback_id=linked_id(link))
    ids = decision_ids(Clock(), secrets=[b"new", b"old"])
    statement = await filed(ids, [made], record_of(made, said)).find("s-1", OURS, source="langfuse")
    assert statement == FiledStatement(link, {made.id: said})
    with pytest.raises(UnknownDecision):
        await filed(ids, [made], record_of(made, said)).find("s-1", OURS, source="slack")


async def test_what_another_tenant_filed_is_not_found(ids: DecisionIds) -> None:
    made = decided(ids, "l", tenant=OTHERS)
    said = thumb(made.id, 1.0, feedback_id="l.1")
    statements = filed(ids, [made], record_of(made, said))
    for name in ("l", f"{made.id}:l"):
        with pytest.raises(UnknownDecision, match="No feedback with this id was filed here"):
            await statements.find(name, OURS)
    assert (await statements.find("l", OTHERS)).standing == {made.id: said}
