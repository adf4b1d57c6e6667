"""What is filed of a submission: its id, who says it, its value and its words."""

from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback, UnknownDecision
from highwayman.env.metric import Metric, MetricKind
from highwayman.env.reward import reward_spec
from highwayman.env.types import Feedback
from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.feedback_ids import is_linked, link_of
from highwayman.feedback.intake.statements import StatementBuilder
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.log.record import Record
from highwayman.feedback.trust.principal import Principal
from tests.feedback.intake.tenants import NOW, OTHERS, OURS, Clock, Records, decided, decision_ids, record_of
from tests.feedback.worlds import outcome

SPEC = reward_spec([Metric("resolved", MetricKind.CHOICE, choices={"yes": 1.0, "partly": 0.5})])
KEY = Principal(OURS, key_id="k-1")


@pytest.fixture
def ids() -> DecisionIds:
    return decision_ids(Clock())


async def built(
    ids: DecisionIds,
    metric: str = "thumbs",
    value: Any = True,
    *,
    records: tuple[Record, ...] = (),
    principal: Principal = KEY,
    direct: bool = True,
    **more: Any,
) -> Feedback:
    builder = StatementBuilder(ids, SPEC, Records(records).one, Clock())
    submission = FeedbackSubmission(FeedbackTarget(), metric, value, **more)
    return await builder.build(submission, SPEC.metric(metric), principal, direct=direct)


async def test_a_statement_says_when_it_was_accepted_and_with_which_key(ids: DecisionIds) -> None:
    statement = await built(ids, "rating", 4)
    assert (statement.at, statement.key, statement.source) == (NOW, "k-1", "user")
    assert (statement.metric, statement.value, statement.decision_id) == ("rating", 4.0, "")
    assert not statement.quarantined
    assert (await built(ids, principal=Principal(OURS, quarantined=True))).quarantined


async def test_a_person_becomes_a_pseudonym_and_nobody_stays_nobody(ids: DecisionIds) -> None:
    assert (await built(ids, user="ann")).user == ids.pseudonym("ann") != "ann"
    assert (await built(ids)).user == ""


async def test_only_a_statement_whose_decision_is_not_named_by_its_id_is_found_under_a_link(ids: DecisionIds) -> None:
    assert not is_linked((await built(ids)).id)
    assert is_linked((await built(ids, direct=False)).id)


@pytest.mark.parametrize("direct", [True, False])
async def test_an_idempotency_key_makes_one_statement_of_two_unless_their_sources_differ(
    direct: bool, ids: DecisionIds
) -> None:
    first = await built(ids, idempotency_key="k", direct=direct)
    again = await built(ids, value=False, idempotency_key="k", direct=direct)
    other = await built(ids, idempotency_key="k", direct=direct, source="grader")
    assert first.id == again.id != other.id
    assert (await built(ids, direct=direct)).id != (await built(ids, direct=direct)).id


async def test_a_senders_own_id_leads_back_to_the_statement_and_stands_for_a_person_who_is_not_named(
    ids: DecisionIds,
) -> None:
    link = ids.link("langfuse", "s-1", OURS)
    first, second = [await built(ids, external_id="s-1", source="langfuse") for _ in range(2)]
    assert link_of(first.id) == link_of(second.id) == first.user == second.user == link
    assert first.id != second.id  # the newer replaces the older, which stays on the log
    assert (await built(ids, external_id="s-1", source="langfuse", user="ann")).user == ids.pseudonym("ann")


@pytest.mark.parametrize(
    ("metric", "value", "comment", "number", "text"),
    [
        ("thumbs", True, "well said", 1.0, "well said"),
        ("comment", "fine", None, 1.0, "fine"),
        ("comment", None, "fine", 1.0, "fine"),
        ("demonstration", "a better answer", None, 1.0, "a better answer"),
        ("resolved", "partly", None, 0.5, "partly"),
        ("resolved", "partly", "all but one", 0.5, "partly"),
        ("thumbs", None, None, None, ""),
        ("thumbs", None, "on second thought", None, "on second thought"),
    ],
)
async def test_words_are_kept_beside_the_value_and_are_a_comments_value(
    metric: str, value: Any, comment: str | None, number: float | None, text: str, ids: DecisionIds
) -> None:
    statement = await built(ids, metric, value, comment=comment)
    assert (statement.value, statement.text) == (number, text)


async def test_a_value_that_the_metric_does_not_take_is_refused(ids: DecisionIds) -> None:
    with pytest.raises(InvalidFeedback, match="metric 'rating' takes 1 to 5"):
        await built(ids, "rating", 9)


async def test_a_preference_names_the_arm_that_served_the_other_answer(ids: DecisionIds) -> None:
    other = decided(ids, arm="a")
    record = record_of(other, outcome=outcome(other.id, arm="b"))  # after a failover
    statement = await built(ids, "preference", 1.0, compared_decision_id=f"chatcmpl-{other.id}", records=(record,))
    assert statement.compared_arm == "b"


async def test_a_preference_says_what_it_compares_with_unless_it_is_taken_back(ids: DecisionIds) -> None:
    with pytest.raises(InvalidFeedback, match="give the other's decision id as `other`"):
        await built(ids, "preference", 1.0)
    with pytest.raises(UnknownDecision):
        await built(ids, "preference", 1.0, compared_decision_id=ids.issue(OTHERS))
    assert (await built(ids, "preference", None)).value is None
