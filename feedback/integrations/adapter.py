"""What an adapter is: a pure map from a foreign request to feedback of ours, and to the answer its sender expects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from highwayman.env.types import JsonObject
from highwayman.feedback.intake.submission import FeedbackSubmission


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A foreign request, as far as an adapter reads it."""

    method: str
    route: str  # the entry of the adapter's `routes` that it came by, such as "POST /api/public/scores"
    path_params: Mapping[str, str] = field(default_factory=dict)  # what stood in the route's braces
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: Any = None  # parsed JSON, None where there is none
    raw: bytes = b""
    at: float = 0.0  # seconds since the epoch: now


@dataclass(frozen=True, slots=True)
class ParsedFeedback:
    """What an adapter makes of a request: what to file, what to take back, and what to answer once that is done."""

    submissions: tuple[FeedbackSubmission, ...] = ()
    retractions: tuple[str, ...] = ()  # names (`FeedbackSubmission.external_id`) of earlier statements
    response: JsonObject | list[Any] | str | bool = field(default_factory=dict)  # text goes out as text/plain
    status: int = 200


@runtime_checkable
class FeedbackAdapter(Protocol):
    """Maps one product's feedback to ours; made with the options its configuration gives, as keywords."""

    source: str  # under which it is filed
    routes: tuple[str, ...]  # "METHOD /path/{part}"

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return the feedback in a request.

        Raises:
            InvalidFeedback: it has not the product's shape; the message names what was wrong and what would be right.
            Unauthorized: an adapter that checks its sender itself (see `SignatureVerified`) does not know this one.
        """
        ...


@runtime_checkable
class IgnoresUnknownMetrics(Protocol):
    """An adapter whose senders send much that a router need not know: undeclared metrics are passed over."""

    ignores_unknown_metrics: bool


@runtime_checkable
class SignatureVerified(Protocol):
    """An adapter whose sender has no API key of ours, but signs what it sends: `parse` checks that."""

    tenant: str  # whose decisions its feedback may be about
