"""A page with two buttons behind a signed link: whoever has the link votes once on one answer, without a key."""

from urllib.parse import parse_qs

from highwayman.feedback.intake.decision_ids import DecisionIds
from highwayman.feedback.intake.service import FeedbackService
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.trust.principal import FEEDBACK, Principal
from highwayman.serving.http.asgi import Send, send_response
from highwayman.serving.http.validation import BadRequest

VOTE_PATH = "/v1/vote/"
_VALUES = {"up": True, "down": False}
# No script, no style from elsewhere, in nobody's frame; the address is a secret, so it is sent to nobody either.
_HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"access-control-allow-origin", b"*"),  # a page of the client's may post the vote itself
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ font: 1.1rem/1.5 system-ui, sans-serif; text-align: center; padding: 20vh 1rem 0 }}
  button {{ font: inherit; padding: .6rem 1.4rem; border: 1px solid #888; border-radius: .4rem; cursor: pointer }}
</style>
<h1>{title}</h1>
{body}
</html>
"""
_ASK = """<form method="post">
<button name="value" value="up">Yes</button>
<button name="value" value="down">No</button>
</form>"""


class VotePage:
    """Shows the page, and takes the vote."""

    def __init__(self, ids: DecisionIds) -> None:
        """Take what signs the links."""
        self._ids = ids

    async def show(self, ticket: str, send: Send) -> None:
        """Answer with the page. Raises UnknownDecision for a link that was not issued here."""
        self._ids.verify_ticket(ticket)
        await _send(send, "Was this answer good?", _ASK)

    async def submit(self, ticket: str, raw: bytes, service: FeedbackService, send: Send) -> None:
        """File the vote in a form's bytes; a second one changes nothing.

        Raises:
            UnknownDecision: the link was not issued here, or its decision takes no more feedback.
            BadRequest: the form says neither up nor down.
        """
        decision_id, tenant = self._ids.verify_ticket(ticket)
        value = _VALUES.get(parse_qs(raw.decode("latin-1")).get("value", [""])[0])
        if value is None:
            raise BadRequest("value: must be up or down", param="value", status=422)
        submission = FeedbackSubmission(
            FeedbackTarget(decision_id=decision_id), "thumbs", value, source="link", idempotency_key=decision_id
        )
        await service.submit(submission, Principal(tenant, scopes=frozenset({FEEDBACK})))
        await _send(send, "Thank you", "<p>Your first vote on this answer counts.</p>")


async def _send(send: Send, title: str, body: str) -> None:
    await send_response(send, 200, _PAGE.format(title=title, body=body).encode(), _HEADERS)
