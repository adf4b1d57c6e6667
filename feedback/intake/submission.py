"""Feedback as endpoints and adapters hand it in: not yet checked, not yet addressed to decisions."""

from dataclasses import dataclass

FeedbackValue = bool | float | str | None


@dataclass(frozen=True, slots=True)
class FeedbackTarget:
    """Which answers are meant: exactly one of the first three is not empty.

    A decision id may also stand in the place of a request id, bare or as a completion's id ("chatcmpl-hw-...").
    """

    decision_id: str = ""
    request_id: str = ""  # an id that the client sent along with its request: a header's, a trace's, a message's
    conversation_id: str = ""  # all of the conversation's answers so far
    # An id of one answer among those of `request_id`, such as a trace's: where it is given, the others are not meant.
    generation_id: str = ""


@dataclass(frozen=True, slots=True)
class FeedbackSubmission:
    """One statement. A `value` of None takes back the same source's and person's earlier one on the metric."""

    target: FeedbackTarget
    metric: str
    value: FeedbackValue
    source: str = "user"
    user: str | None = None  # who gives it, as the sender names them
    comment: str | None = None  # words beside the value; the whole of a comment or a demonstration
    compared_decision_id: str | None = None  # of a preference: the decision whose answer it is compared with
    external_id: str | None = None  # the sender's own id for this statement: sent again under it, it is replaced
    idempotency_key: str | None = None  # sent again with it, nothing is changed
    # The conversation of a target's `request_id`: where no answer is known under that, those of the conversation are
    # meant that came without an id of their own.
    within_conversation: str = ""
