from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.open_webui import OpenWebUI
from tests.feedback.integrations.letters import NOW, letter, payload

CREATE, WEBHOOK = "POST /api/v1/evaluations/feedback", "POST /webhooks/open-webui"
IMPORT = "POST /api/v1/evaluations/feedbacks/import"
MESSAGE = "b2a4f2f0-3a55-4a3e-9f57-0d8c7a6f1e22"
FIRST = "00000000-0000-4000-8000-000000000001"


def rated(rating: Any, **meta: Any) -> FeedbackSubmission:
    body = {"type": "rating", "data": {"rating": rating}, "meta": {"message_id": "m", **meta}}
    return OpenWebUI().parse(letter(CREATE, body)).submissions[0]


def test_a_thumb_is_heard_with_its_reason_and_comment() -> None:
    (said,) = OpenWebUI().parse(letter(CREATE, payload("open_webui_feedback"))).submissions
    assert (said.target, said.metric, said.value) == (FeedbackTarget(request_id=MESSAGE), "thumbs", True)
    assert said.comment == "accurate_information — just what I needed"


def test_the_answer_has_the_id_under_which_the_feedback_is_updated_and_deleted() -> None:
    door, body = OpenWebUI(), payload("open_webui_feedback")
    heard = door.parse(letter(CREATE, body))
    assert isinstance(heard.response, dict)
    known_as = heard.response["id"]
    assert heard.response["created_at"] == int(NOW)
    again = {**body, "data": {**body["data"], "rating": -1}}
    (updated,) = door.parse(letter("POST /api/v1/evaluations/feedback/{id}", again, id=known_as)).submissions
    assert (updated.external_id, updated.value) == (known_as, False)
    assert heard.submissions[0].external_id == known_as
    deleted = door.parse(letter("DELETE /api/v1/evaluations/feedback/{id}", id=known_as))
    assert (deleted.retractions, deleted.response) == ((known_as,), True)


def test_the_same_message_and_person_always_give_the_same_id() -> None:
    assert rated(1).external_id == rated(-1).external_id
    assert rated(1).external_id != rated(1, message_id="other").external_id


def test_the_person_is_named_by_the_feedback_or_by_the_header() -> None:
    body = payload("open_webui_feedback")
    one = replace(letter(CREATE, body), headers={"x-openwebui-user-id": "user-7"})
    assert OpenWebUI().parse(one).submissions[0].user == "user-7"
    assert OpenWebUI().parse(replace(one, body={**body, "user_id": "user-1"})).submissions[0].user == "user-1"


@pytest.mark.parametrize(
    ("rating", "thumb"), [(1, True), ("1", True), (-1, False), ("-1", False), (0, None), ("0", None), (None, None)]
)
def test_ratings_are_thumbs_and_a_draw_is_none(rating: Any, thumb: bool | None) -> None:
    assert rated(rating).value is thumb


@pytest.mark.parametrize("rating", [2, "up", 0.5, [], {}])
def test_other_ratings_are_refused(rating: Any) -> None:
    with pytest.raises(InvalidFeedback, match=r"data\.rating"):
        rated(rating)


def test_a_chat_stands_in_for_a_message_that_is_not_named() -> None:
    assert rated(1, chat_id="c").target == FeedbackTarget(request_id="m")
    assert rated(1, message_id=None, chat_id="c").target == FeedbackTarget(conversation_id="c")
    with pytest.raises(InvalidFeedback, match=r"meta\.message_id"):
        rated(1, message_id=None)


def test_the_rating_from_1_to_10_is_filed_where_a_metric_is_configured_for_it() -> None:
    door, body = OpenWebUI(details_metric="rating10"), payload("open_webui_feedback")
    thumb, details = door.parse(letter(CREATE, body)).submissions
    assert (details.target, details.metric, details.value) == (thumb.target, "rating10", 9.0)
    del body["data"]["details"]
    assert [said.value for said in door.parse(letter(CREATE, body)).submissions] == [True, None]
    gone = door.parse(letter("DELETE /api/v1/evaluations/feedback/{id}", id=str(thumb.external_id))).retractions
    assert gone == (thumb.external_id, details.external_id)


def test_an_export_is_many_thumbs_and_tells_what_was_left_out() -> None:
    heard = OpenWebUI().parse(letter(IMPORT, payload("open_webui_export")))
    assert [(said.target.request_id, said.value, said.user, said.external_id) for said in heard.submissions] == [
        (MESSAGE, True, "user-1", FIRST),
        ("m-2", False, "user-2", "00000000-0000-4000-8000-000000000002"),
    ]
    assert heard.response == {"imported": 2, "left_out": 2}


def test_an_export_without_any_thumb_is_refused() -> None:
    with pytest.raises(InvalidFeedback, match="none of 1 entries"):
        OpenWebUI().parse(letter(IMPORT, [{"id": "x"}]))


def test_an_event_as_open_webui_sends_it_is_refused_because_it_names_no_message() -> None:
    with pytest.raises(InvalidFeedback, match="event function"):
        OpenWebUI().parse(letter(WEBHOOK, {**payload("open_webui_event"), "data": {"rating": 1}}))


def test_an_event_that_an_event_function_completed_is_heard() -> None:
    event = payload("open_webui_event")
    for data in ({"rating": 1, "message_id": MESSAGE}, payload("open_webui_feedback")):
        (said,) = OpenWebUI().parse(letter(WEBHOOK, {**event, "data": data})).submissions
        assert (said.target, said.value, said.user, said.external_id) == (
            FeedbackTarget(request_id=MESSAGE),
            True,
            "user-1",
            FIRST,
        )


def test_the_feedback_itself_may_be_sent_to_the_webhook() -> None:
    feedback = payload("open_webui_export")[0]
    for body in (feedback, {"feedback": feedback}):
        (said,) = OpenWebUI().parse(letter(WEBHOOK, body)).submissions
        assert (said.target, said.value, said.user, said.external_id) == (
            FeedbackTarget(request_id=MESSAGE),
            True,
            "user-1",
            FIRST,
        )


def test_the_event_of_a_deletion_takes_back() -> None:
    event = {**payload("open_webui_event"), "event": "feedback.deleted", "data": {}}
    assert OpenWebUI().parse(letter(WEBHOOK, event)).retractions == (FIRST,)


@pytest.mark.parametrize("event", ["auth.login", "chat.created", "feedback.deleted_all"])
def test_other_events_are_answered_and_not_filed(event: str) -> None:
    heard = OpenWebUI().parse(letter(WEBHOOK, {**payload("open_webui_event"), "event": event}))
    assert (heard.submissions, heard.retractions, heard.status) == ((), (), 200)
