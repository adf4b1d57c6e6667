from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback
from highwayman.feedback.integrations.dify import Dify
from tests.feedback.integrations.letters import letter, payload


def heard(**changes: Any) -> ParsedFeedback:
    body = {**payload("dify_feedback"), **changes}
    return Dify().parse(letter("POST /v1/messages/{message_id}/feedbacks", body, message_id="m-1"))


def test_a_like_is_a_thumb_with_a_comment() -> None:
    assert heard().submissions == (
        FeedbackSubmission(
            FeedbackTarget(request_id="m-1"), "thumbs", True, "dify", user="abc-123",
            comment="This answer was very helpful!",
        ),
    )  # fmt: skip
    assert heard().response == {"result": "success"}


@pytest.mark.parametrize(("rating", "thumb"), [("dislike", False), (None, None)])
def test_a_dislike_is_a_thumb_down_and_null_takes_back(rating: str | None, thumb: bool | None) -> None:
    assert heard(rating=rating).submissions[0].value is thumb


@pytest.mark.parametrize("changes", [{"rating": "love"}, {"rating": 1}, {"user": None}, {"user": 5}, {"content": []}])
def test_what_dify_refuses_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidFeedback):
        heard(**changes)
