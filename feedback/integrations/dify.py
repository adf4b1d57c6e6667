"""Dify's likes: what applications send to its Service API."""

from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback, WebhookRequest
from highwayman.feedback.integrations.reading import text_field

_RATINGS: dict[Any, bool | None] = {"like": True, "dislike": False, None: None}


class Dify:
    """Parses likes and dislikes of messages; a rating of null takes them back.

    Looked at: Dify's Service API 1.0.0, "Submit Message Feedback", and `controllers/service_api/app/message.py`. They
    join by the message's id, which the application sends along with its request to the router.
    """

    source = "dify"
    routes = ("POST /v1/messages/{message_id}/feedbacks",)

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return the like in a request. Raises InvalidFeedback."""
        body = request.body
        if not isinstance(body, dict):
            raise InvalidFeedback("the body must be an object with rating and user")
        rating = body.get("rating")
        if not isinstance(rating, str | None) or rating not in _RATINGS:
            raise InvalidFeedback("rating must be like, dislike or null")
        user = text_field(body, "user")
        if not user:
            raise InvalidFeedback("user must name who says it")
        target = FeedbackTarget(request_id=request.path_params.get("message_id", ""))
        words = text_field(body, "content")
        submission = FeedbackSubmission(
            target, "thumbs", _RATINGS[rating], self.source, user=user, comment=words or None
        )
        return ParsedFeedback((submission,), response={"result": "success"})
