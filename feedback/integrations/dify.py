"""Dify's likes: what applications send to its Service API."""

from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import About, Said
from highwayman.feedback.integrations.adapter import Heard, Letter
from highwayman.feedback.integrations.reading import text_in

_RATINGS: dict[Any, bool | None] = {"like": True, "dislike": False, None: None}


class Dify:
    """Hears likes and dislikes of messages; a rating of null takes them back.

    Looked at: Dify's Service API 1.0.0, "Submit Message Feedback", and `controllers/service_api/app/message.py`. They
    join by the message's id, which the application sends along with its request to the router.
    """

    source = "dify"
    routes = ("POST /v1/messages/{message_id}/feedbacks",)

    def hear(self, letter: Letter) -> Heard:
        """Return the like in a letter. Raises InvalidFeedback."""
        body = letter.body
        if not isinstance(body, dict):
            raise InvalidFeedback("the body must be an object with rating and user")
        rating = body.get("rating")
        if not isinstance(rating, str | None) or rating not in _RATINGS:
            raise InvalidFeedback("rating must be like, dislike or null")
        user = text_in(body, "user")
        if not user:
            raise InvalidFeedback("user must name who says it")
        about = About(request_id=letter.parts.get("message_id", ""))
        words = text_in(body, "content")
        said = Said(about, "thumbs", _RATINGS[rating], self.source, user=user, comment=words or None)
        return Heard((said,), answer={"result": "success"})
