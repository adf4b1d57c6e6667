"""Dify's likes: what applications send to its Service API."""

from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.env.types import JsonObject
from highwayman.feedback.doors.door import Heard, Letter
from highwayman.feedback.said import About, Said

_LONGEST_TEXT = 16_384  # characters
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
        user = _text(body, "user")
        if not user:
            raise InvalidFeedback("user must name who says it")
        about = About(request_id=letter.parts.get("message_id", ""))
        words = _text(body, "content")
        said = Said(about, "thumbs", _RATINGS[rating], self.source, user=user, comment=words or None)
        return Heard((said,), answer={"result": "success"})


def _text(body: JsonObject, key: str) -> str:
    """Return a text, empty where there is none. Raises InvalidFeedback for anything else."""
    found = body.get(key)
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > _LONGEST_TEXT:
        raise InvalidFeedback(f"{key} must be text of at most {_LONGEST_TEXT} characters")
    return found
