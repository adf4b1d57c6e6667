"""What the operator says of an answer: a statement like anybody's, under a source of its own."""

from dataclasses import replace
from typing import Final

from starlette.requests import Request

from highwayman.feedback.intake.service import FeedbackReceipt
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget, FeedbackValue
from highwayman.feedback.log.event_id import sort_key
from highwayman.feedback.log.record import Record
from highwayman.feedback.trust.principal import FEEDBACK
from highwayman.serving.auth.admission import caller_of, need_scope
from highwayman.serving.dashboard.site import Site
from highwayman.serving.http.validation import BadRequest

SOURCE: Final = "operator"
THUMBS: Final = "thumbs"
_VALUES: Final[dict[str, FeedbackValue]] = {"up": True, "down": False, "back": None}


async def say_thumb(site: Site, request: Request, decision_id: str, value: str) -> FeedbackReceipt:
    """File a thumb (up, down), or take it back (back). Raises what `say` raises, BadRequest for another value."""
    if value not in _VALUES:
        raise BadRequest(f"value: must be one of {', '.join(_VALUES)}, got {value[:20]!r}.", param="value", status=422)
    return await say(site, request, FeedbackSubmission(FeedbackTarget(decision_id), THUMBS, _VALUES[value]))


async def say(site: Site, request: Request, submission: FeedbackSubmission) -> FeedbackReceipt:
    """File what the one who is signed in says of an answer of the tenant that is shown.

    Raises:
        Forbidden: the key may not give feedback.
        InvalidFeedback, UnknownDecision, StoreUnavailable: as `FeedbackService.submit`.
    """
    need_scope(FEEDBACK, request)
    principal = replace(caller_of(request), tenant=site.tenant(request))
    said = replace(submission, source=SOURCE, user=_person(request))
    return await site.services.feedback.service.submit(said, principal)


def thumb_of(site: Site, request: Request, record: Record) -> str:
    """Return the thumb of whoever is signed in that stands on an answer: up, down, or nothing."""
    person = site.services.ids.pseudonym(_person(request))
    standing = [
        (feedback.at, sort_key(event_id), feedback.value)
        for event_id, feedback in record.feedback.items()
        if (feedback.source, feedback.metric, feedback.user) == (SOURCE, THUMBS, person)
    ]
    value = max(standing)[2] if standing else None
    return "" if value is None else "up" if value else "down"


def _person(request: Request) -> str:
    return f"{SOURCE} {caller_of(request).key_id}".strip()
