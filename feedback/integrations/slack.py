"""Slack's reactions: a thumb on a message that an application posted is a thumb on the answer in it."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from highwayman.env.errors import InvalidFeedback, Unauthorized
from highwayman.env.types import JsonObject
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback, WebhookRequest

_VERSION = "v0"
_WINDOW_S = 300.0  # how old, or how far ahead, a signature may be
_LONGEST_TEXT = 1024  # characters
_UP = ("+1", "thumbsup", "white_check_mark")
_DOWN = ("-1", "thumbsdown", "x")
_ADDED, _REMOVED = "reaction_added", "reaction_removed"


class Slack:
    """Parses reactions from Slack's Events API, and checks its signature: no key of ours is needed.

    Looked at: Slack's reference of `reaction_added`, `reaction_removed` and `url_verification`, and "Verifying requests
    from Slack" (signature version v0). The application that posts an answer to Slack sends `slack:{channel}:{ts}` of
    the message as its `x-request-id`. Only reactions to the application's own messages count, and not its own ones, as
    far as the event says whose they are. Whoever removes one of two opposite reactions takes back the last one.
    """

    source = "slack"
    routes = ("POST /slack/events",)

    def __init__(
        self, signing_secret: str, tenant: str = "default", up: Sequence[str] = _UP, down: Sequence[str] = _DOWN
    ) -> None:
        """Take the app's signing secret, whose decisions it is about, and the names of the reactions that count."""
        if not signing_secret:
            raise ValueError("signing_secret must not be empty: it stands on the Slack app's Basic Information page")
        if isinstance(up, str) or isinstance(down, str) or set(up) & set(down):
            raise ValueError("up and down must be two lists of names of reactions, with none in both")
        self.tenant = tenant
        self._secret = signing_secret.encode()
        self._thumbs = {**dict.fromkeys(up, True), **dict.fromkeys(down, False)}

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return the thumb of a reaction. Raises InvalidFeedback, and Unauthorized where the signature does not fit."""
        self._check(request)
        body = request.body
        if not isinstance(body, dict):
            raise InvalidFeedback("the body must be an object with a type")
        if body.get("type") == "url_verification":
            return ParsedFeedback(response=_text(body, "challenge"))
        event = body.get("event")
        if body.get("type") != "event_callback" or not isinstance(event, dict):
            raise InvalidFeedback("type must be url_verification, or event_callback with an event")
        return ParsedFeedback(self._submissions(event, body))

    def _check(self, request: WebhookRequest) -> None:
        stamp = request.headers.get("x-slack-request-timestamp", "")
        signature = request.headers.get("x-slack-signature", "")
        signed = b":".join((_VERSION.encode(), stamp.encode("utf-8", "surrogatepass"), request.raw))
        expected = f"{_VERSION}={hmac.new(self._secret, signed, hashlib.sha256).hexdigest()}".encode()
        genuine = hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
        if not genuine or not _recent(stamp, request.at):
            raise Unauthorized("This is not signed with the Slack app's signing secret, or was signed too long ago.")

    def _submissions(self, event: JsonObject, body: JsonObject) -> tuple[FeedbackSubmission, ...]:
        """Return the thumb that an event is, nothing where it is none."""
        if event.get("type") not in (_ADDED, _REMOVED):
            return ()
        item = event.get("item")
        if not isinstance(item, dict):
            raise InvalidFeedback("the event must have an item")
        thumb = self._thumbs.get(_text(event, "reaction").partition("::")[0])
        user = _text(event, "user")
        if thumb is None or item.get("type") != "message" or not _meant(event, user, body.get("authorizations")):
            return ()
        return (
            FeedbackSubmission(
                FeedbackTarget(request_id=f"slack:{_text(item, 'channel')}:{_text(item, 'ts')}"),
                "thumbs",
                thumb if event.get("type") == _ADDED else None,
                source=self.source,
                user=user,
                idempotency_key=_text(body, "event_id"),
            ),
        )


def _meant(event: JsonObject, user: str, authorizations: Any) -> bool:
    """Return whether a reaction is somebody else's, to a message of the app's, as far as the event says so."""
    listed = authorizations if isinstance(authorizations, list) else []
    bots = [
        authorization.get("user_id")
        for authorization in listed
        if isinstance(authorization, dict) and authorization.get("is_bot") is True
    ]
    author = event.get("item_user")
    return not bots or (user not in bots and (author is None or author in bots))


def _recent(stamp: str, now: float) -> bool:
    try:
        return abs(now - int(stamp)) <= _WINDOW_S
    except (ValueError, OverflowError):
        return False


def _text(whole: JsonObject, key: str) -> str:
    """Return a text that is not empty. Raises InvalidFeedback for anything else."""
    text = whole.get(key)
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_TEXT:
        raise InvalidFeedback(f"{key} must be text of 1 to {_LONGEST_TEXT} characters")
    return text
