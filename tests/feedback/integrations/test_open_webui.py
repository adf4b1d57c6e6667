from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import About, Said
from highwayman.feedback.integrations.open_webui import OpenWebUI
from tests.feedback.integrations.letters import NOW, letter, payload

CREATE, WEBHOOK = "POST /api/v1/evaluations/feedback", "POST /webhooks/open-webui"
IMPORT = "POST /api/v1/evaluations/feedbacks/import"
MESSAGE = "b2a4f2f0-3a55-4a3e-9f57-0d8c7a6f1e22"
FIRST = "00000000-0000-4000-8000-000000000001"


def rated(rating: Any, **meta: Any) -> Said:
    body = {"type": "rating", "data": {"rating": rating}, "meta": {"message_id": "m", **meta}}
    return OpenWebUI().hear(letter(CREATE, body)).said[0]


def test_a_thumb_is_heard_with_its_reason_and_comment() -> None:
    (said,) = OpenWebUI().hear(letter(CREATE, payload("open_webui_feedback"))).said
    assert (said.about, said.metric, said.value) == (About(request_id=MESSAGE), "thumbs", True)
    assert said.comment == "accurate_information — just what I needed"


def test_the_answer_has_the_id_under_which_the_feedback_is_updated_and_deleted() -> None:
    door, body = OpenWebUI(), payload("open_webui_feedback")
    heard = door.hear(letter(CREATE, body))
    assert isinstance(heard.answer, dict)
    known_as = heard.answer["id"]
    assert heard.answer["created_at"] == int(NOW)
    again = {**body, "data": {**body["data"], "rating": -1}}
    (updated,) = door.hear(letter("POST /api/v1/evaluations/feedback/{id}", again, id=known_as)).said
    assert (updated.name, updated.value) == (known_as, False)
    assert heard.said[0].name == known_as
    deleted = door.hear(letter("DELETE /api/v1/evaluations/feedback/{id}", id=known_as))
    assert (deleted.taken_back, deleted.answer) == ((known_as,), True)


def test_the_same_message_and_person_always_give_the_same_id() -> None:
    assert rated(1).name == rated(-1).name
    assert rated(1).name != rated(1, message_id="other").name


def test_the_person_is_named_by_the_feedback_or_by_the_header() -> None:
    body = payload("open_webui_feedback")
    one = replace(letter(CREATE, body), headers={"x-openwebui-user-id": "user-7"})
    assert OpenWebUI().hear(one).said[0].user == "user-7"
    assert OpenWebUI().hear(replace(one, body={**body, "user_id": "user-1"})).said[0].user == "user-1"


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
    assert rated(1, chat_id="c").about == About(request_id="m")
    assert rated(1, message_id=None, chat_id="c").about == About(conversation_id="c")
    with pytest.raises(InvalidFeedback, match=r"meta\.message_id"):
        rated(1, message_id=None)


def test_the_rating_from_1_to_10_is_filed_where_a_metric_is_configured_for_it() -> None:
    door, body = OpenWebUI(details_metric="rating10"), payload("open_webui_feedback")
    thumb, details = door.hear(letter(CREATE, body)).said
    assert (details.about, details.metric, details.value) == (thumb.about, "rating10", 9.0)
    del body["data"]["details"]
    assert [said.value for said in door.hear(letter(CREATE, body)).said] == [True, None]
    gone = door.hear(letter("DELETE /api/v1/evaluations/feedback/{id}", id=str(thumb.name))).taken_back
    assert gone == (thumb.name, details.name)


def test_an_export_is_many_thumbs_and_tells_what_was_left_out() -> None:
    heard = OpenWebUI().hear(letter(IMPORT, payload("open_webui_export")))
    assert [(said.about.request_id, said.value, said.user, said.name) for said in heard.said] == [
        (MESSAGE, True, "user-1", FIRST),
        ("m-2", False, "user-2", "00000000-0000-4000-8000-000000000002"),
    ]
    assert heard.answer == {"imported": 2, "left_out": 2}


def test_an_export_without_any_thumb_is_refused() -> None:
    with pytest.raises(InvalidFeedback, match="none of 1 entries"):
        OpenWebUI().hear(letter(IMPORT, [{"id": "x"}]))


def test_an_event_as_open_webui_sends_it_is_refused_because_it_names_no_message() -> None:
    with pytest.raises(InvalidFeedback, match="event function"):
        OpenWebUI().hear(letter(WEBHOOK, {**payload("open_webui_event"), "data": {"rating": 1}}))


def test_an_event_that_an_event_function_completed_is_heard() -> None:
    event = payload("open_webui_event")
    for data in ({"rating": 1, "message_id": MESSAGE}, payload("open_webui_feedback")):
        (said,) = OpenWebUI().hear(letter(WEBHOOK, {**event, "data": data})).said
        assert (said.about, said.value, said.user, said.name) == (About(request_id=MESSAGE), True, "user-1", FIRST)


def test_the_feedback_itself_may_be_sent_to_the_webhook() -> None:
    feedback = payload("open_webui_export")[0]
    for body in (feedback, {"feedback": feedback}):
        (said,) = OpenWebUI().hear(letter(WEBHOOK, body)).said
        assert (said.about, said.value, said.user, said.name) == (About(request_id=MESSAGE), True, "user-1", FIRST)


def test_the_event_of_a_deletion_takes_back() -> None:
    event = {**payload("open_webui_event"), "event": "feedback.deleted", "data": {}}
    assert OpenWebUI().hear(letter(WEBHOOK, event)).taken_back == (FIRST,)


@pytest.mark.parametrize("event", ["auth.login", "chat.created", "feedback.deleted_all"])
def test_other_events_are_answered_and_not_filed(event: str) -> None:
    heard = OpenWebUI().hear(letter(WEBHOOK, {**payload("open_webui_event"), "event": event}))
    assert (heard.said, heard.taken_back, heard.status) == ((), (), 200)
