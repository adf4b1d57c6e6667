"""The body of `POST /v1/feedback`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from highwayman.env.metric import LONGEST_TEXT
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.serving.http.validation import BadRequest, parse_object, validate

MAX_ID = 256
_Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
_TARGET_FIELDS = ("decision_id", "request_id", "conversation_id")


class FeedbackBody(BaseModel):
    """What `POST /v1/feedback` takes."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)

    decision_id: _Id | None = Field(None, description="of an answer, from x-highwayman-decision or the answer's id")
    request_id: _Id | None = Field(None, description="instead: an id that was sent along with the request")
    conversation_id: _Id | None = Field(None, description="instead: all of a conversation's answers so far")
    metric: Annotated[str, Field(min_length=1, max_length=64)] = "thumbs"
    value: bool | int | float | Annotated[str, Field(max_length=LONGEST_TEXT)] | None = Field(
        description="a number, true/false, a choice or words, as the metric takes; null retracts"
    )
    comment: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    other: _Id | None = Field(None, description="of a preference: the decision whose answer it is compared with")
    source: Literal["user", "tool", "grader"] = "user"
    user: Annotated[str, Field(max_length=512)] | None = Field(None, description="who says it, if that is known")
    idempotency_key: _Id | None = Field(None, description="said again with it, nothing is changed")


def parse_feedback(raw: bytes) -> FeedbackSubmission:
    """Return what the body says. Raises BadRequest."""
    body = validate(FeedbackBody, parse_object(raw), status=422)
    target_fields = {name: value for name in _TARGET_FIELDS if (value := getattr(body, name)) is not None}
    if len(target_fields) != 1:
        raise BadRequest(
            f"give one of {', '.join(_TARGET_FIELDS)}, got {len(target_fields)} of them",
            param=_TARGET_FIELDS[0],
            status=422,
        )
    statement: dict[str, Any] = {name: getattr(body, name) for name in ("metric", "value", "source", "user", "comment")}
    return FeedbackSubmission(
        FeedbackTarget(**target_fields),
        compared_decision_id=body.other,
        idempotency_key=body.idempotency_key,
        **statement,
    )
