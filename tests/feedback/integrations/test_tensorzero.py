import uuid
from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback
from highwayman.feedback.integrations.tensorzero import TensorZero
from tests.feedback.integrations.letters import letter, payload

NIL = "00000000-0000-0000-0000-000000000000"


def heard(body: Any, **metrics: str) -> ParsedFeedback:
    return TensorZero(metrics).parse(letter("POST /feedback", body))


def feedback_id(**changes: Any) -> str:
    answer = heard({**payload("tensorzero_boolean"), **changes}).response
    assert isinstance(answer, dict)
    return str(answer["feedback_id"])


def test_a_boolean_about_an_inference_is_heard() -> None:
    (said,) = heard(payload("tensorzero_boolean"), draft_accepted="thumbs").submissions
    assert (said.target, said.metric, said.value) == (FeedbackTarget(request_id=NIL), "thumbs", True)


def test_a_number_about_an_episode_is_heard_with_its_person() -> None:
    (said,) = heard(payload("tensorzero_float")).submissions
    assert (said.target, said.metric, said.value) == (FeedbackTarget(conversation_id=NIL), "user_rating", 10.0)
    assert said.user == "123"


def test_a_demonstration_is_heard_as_text_whatever_it_came_as() -> None:
    body = payload("tensorzero_demonstration")
    assert heard(body).submissions[0].value == "Canberra."
    assert heard({**body, "value": "Canberra."}).submissions[0].value == "Canberra."
    assert heard({**body, "value": {"city": "Canberra"}}).submissions[0].value == '{"city": "Canberra"}'


def test_a_comment_is_words() -> None:
    body = {"inference_id": NIL, "metric_name": "comment", "value": "too long"}
    assert heard(body).submissions[0].value == "too long"
    for value in (True, 5, "", [], None):
        with pytest.raises(InvalidFeedback, match="comment"):
            heard({**body, "value": value})


def test_the_answer_is_a_uuid_that_is_the_same_for_the_same_statement() -> None:
    assert str(uuid.UUID(feedback_id())) == feedback_id() == feedback_id(value=False)
    assert len({feedback_id(), feedback_id(metric_name="x"), feedback_id(tags={"user_id": "u"})}) == 3
    comments = {feedback_id(metric_name="comment", value=words) for words in ("one", "two")}
    assert len(comments) == 2


def test_a_dry_run_is_answered_and_not_filed() -> None:
    assert heard({**payload("tensorzero_boolean"), "dryrun": True}).submissions == ()
    assert feedback_id(dryrun=True) == feedback_id()


@pytest.mark.parametrize(
    "changes",
    [{"episode_id": NIL}, {"inference_id": None}, {"metric_name": None}, {"value": None}, {"value": []},
     {"tags": ["a"]}, {"dryrun": "yes"}],
)  # fmt: skip
def test_what_the_gateway_refuses_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidFeedback):
        heard({**payload("tensorzero_boolean"), **changes})
