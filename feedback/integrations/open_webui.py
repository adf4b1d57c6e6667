"""Open WebUI's thumbs: as its own API takes them, as its events announce them, and as its export lists them."""

from dataclasses import replace
from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.env.types import JsonObject
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback, WebhookRequest
from highwayman.feedback.integrations.reading import derived_id, text_field

_CREATE = "POST /api/v1/evaluations/feedback"
_UPDATE = "POST /api/v1/evaluations/feedback/{id}"
_DELETE = "DELETE /api/v1/evaluations/feedback/{id}"
_IMPORT = "POST /api/v1/evaluations/feedbacks/import"
_WEBHOOK = "POST /webhooks/open-webui"

_USER_HEADER = "x-openwebui-user-id"
_THUMBS: dict[Any, bool | None] = {1: True, "1": True, -1: False, "-1": False, 0: None, "0": None, None: None}


class OpenWebUI:
    """Parses the thumbs of Open WebUI. They join by the message's id, which its connection to the router sends along.

    Looked at: Open WebUI 0.10.2 and 0.12.4, `routers/evaluations.py`, `models/feedbacks.py`, `events.py` and
    `utils/headers.py`. A connection to the router with the custom header `{"x-openwebui-message-id": "{{MESSAGE_ID}}"}`
    names the message; without it, the answers of the chat are meant that came without a message's id. Open WebUI's own
    events do not carry that id: an event function has to put it in, or send the feedback itself, as
    `integrations/open_webui/highwayman_feedback.py` does. In the arena, a thumb is a thumb: which models it was
    compared with is not filed. A draw takes the thumb back.
    """

    source = "open-webui"
    routes = (_CREATE, _UPDATE, _DELETE, _IMPORT, _WEBHOOK)

    def __init__(self, *, details_metric: str = "") -> None:
        """Take the metric under which the rating from 1 to 10 beside a thumb is filed; empty: it is not."""
        self._details_metric = details_metric

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return the thumbs in a request. Raises InvalidFeedback."""
        if request.route == _DELETE:
            return ParsedFeedback(retractions=self._external_ids(request.path_params.get("id", "")), response=True)
        if request.route == _IMPORT:
            return self._import(request.body)
        if request.route == _WEBHOOK:
            return self._event(_object(request.body, "the body"), request)
        feedback = _object(request.body, "the body")
        submissions = self._submissions(
            feedback, request.path_params.get("id", ""), request.headers.get(_USER_HEADER, "")
        )
        return ParsedFeedback(submissions, response=_stored(feedback, submissions[0], int(request.at)))

    def _import(self, body: Any) -> ParsedFeedback:
        """Return the thumbs of an export file; entries without a thumb or a message are left out, and counted."""
        if not isinstance(body, list):
            raise InvalidFeedback("the body must be the list that Open WebUI exports its feedback as")
        submissions: list[FeedbackSubmission] = []
        left_out = 0
        for feedback in body:
            try:
                submissions += self._submissions(_object(feedback, "an entry"), "", "")
            except InvalidFeedback:
                left_out += 1
        if left_out and not submissions:
            raise InvalidFeedback(f"none of {left_out} entries has a data.rating of 1 or -1 and a meta.message_id")
        return ParsedFeedback(tuple(submissions), response={"imported": len(body) - left_out, "left_out": left_out})

    def _event(self, body: JsonObject, request: WebhookRequest) -> ParsedFeedback:
        """Return the thumb in an event, or in the feedback itself, sent in an event's place."""
        header = request.headers.get(_USER_HEADER, "")
        event = body.get("event")
        if event is None:
            return ParsedFeedback(
                self._submissions(_part(body, "feedback") or body, "", header), response={"status": "ok"}
            )
        subject_id = text_field(_part(body, "subject"), "id")
        if event == "feedback.deleted" and subject_id:
            return ParsedFeedback(retractions=self._external_ids(subject_id), response={"status": "ok"})
        if event not in ("feedback.created", "feedback.updated"):
            return ParsedFeedback(response={"status": "ignored"})
        data = _part(body, "data")
        inner = _part(data, "data") or data
        feedback = {"data": inner, "meta": _part(data, "meta") or data}
        user = text_field(_part(body, "actor"), "id") or header
        return ParsedFeedback(self._submissions(feedback, subject_id, user), response={"status": "ok"})

    def _submissions(self, feedback: JsonObject, feedback_id: str, user: str) -> tuple[FeedbackSubmission, ...]:
        """Return the statements in one feedback: a thumb, and where it is wanted the rating beside it.

        The latter is filed even where it is missing: an update may have taken it out.
        """
        data = _part(feedback, "data")
        target = _which(_part(feedback, "meta"))
        user_id = text_field(feedback, "user_id") or user
        thumb = _thumb(data)
        words = " — ".join(part for key in ("reason", "comment") if (part := text_field(data, key)))
        known_as = (
            feedback_id or text_field(feedback, "id") or derived_id(target.request_id, target.conversation_id, user_id)
        )
        name, *details_ids = self._external_ids(known_as)
        chat_id = text_field(_part(feedback, "meta"), "chat_id") if target.request_id else ""
        submission = FeedbackSubmission(
            target,
            "thumbs",
            thumb,
            self.source,
            user=user_id or None,
            comment=words or None,
            external_id=name,
            within_conversation=chat_id,
        )
        rating = _rating(_part(data, "details"))
        return (
            submission,
            *(
                replace(submission, metric=self._details_metric, value=rating, comment=None, external_id=external_id)
                for external_id in details_ids
            ),
        )

    def _external_ids(self, feedback_id: str) -> tuple[str, ...]:
        """Return the names of the statements in one feedback."""
        return (feedback_id, f"{feedback_id}:details") if self._details_metric else (feedback_id,)


def _which(meta: JsonObject) -> FeedbackTarget:
    message_id = text_field(meta, "message_id")
    chat_id = text_field(meta, "chat_id")
    if not (message_id or chat_id):
        raise InvalidFeedback(
            "the feedback must name its message as meta.message_id; Open WebUI's own events do not:"
            " send the feedback itself from an event function"
        )
    return FeedbackTarget(request_id=message_id) if message_id else FeedbackTarget(conversation_id=chat_id)


def _thumb(data: JsonObject) -> bool | None:
    rating = data.get("rating", "missing")
    if (rating is None or isinstance(rating, str | int | float)) and rating in _THUMBS:
        return _THUMBS[rating]
    raise InvalidFeedback("data.rating must be 1 or -1, or 0 or null to take it back")


def _rating(details: JsonObject) -> float | None:
    rating = details.get("rating")
    if isinstance(rating, int | float) and not isinstance(rating, bool) and 1 <= rating <= 10:
        return float(rating)
    return None


def _stored(feedback: JsonObject, submission: FeedbackSubmission, at: int) -> JsonObject:
    """Return the feedback as Open WebUI answers it."""
    return {
        "id": submission.external_id,
        "user_id": submission.user or "",
        "version": 0,
        "type": "rating",
        "data": _part(feedback, "data"),
        "meta": _part(feedback, "meta"),
        "snapshot": None,
        "created_at": at,
        "updated_at": at,
    }


def _object(value: Any, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise InvalidFeedback(f"{name} must be an object with data and meta")
    return value


def _part(whole: JsonObject, key: str) -> JsonObject:
    """Return an object within another, empty where there is none. Raises InvalidFeedback for anything else."""
    part = whole.get(key)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise InvalidFeedback(f"{key} must be an object")
    return part
