from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.openai_metadata import OpenAIMetadata
from tests.feedback.integrations.letters import letter, payload

ROUTE = "POST /v1/chat/completions/{completion_id}"
ID = "chatcmpl-hw-abc"


def said(**metadata: Any) -> tuple[FeedbackSubmission, ...]:
    return OpenAIMetadata().parse(letter(ROUTE, {"metadata": metadata}, completion_id=ID)).submissions


def test_keys_that_speak_of_feedback_are_statements_and_others_are_not() -> None:
    body = payload("openai_metadata")
    heard = OpenAIMetadata().parse(letter(ROUTE, body, completion_id=ID))
    assert heard.submissions == (
        FeedbackSubmission(FeedbackTarget(decision_id=ID), "thumbs", True),
        FeedbackSubmission(FeedbackTarget(decision_id=ID), "helpfulness", 0.8),
    )
    assert heard.response == {"id": ID, "object": "chat.completion", "metadata": body["metadata"]}


@pytest.mark.parametrize(
    ("text", "thumb"),
    [("up", True), ("true", True), ("True", True), ("1", True), ("down", False), ("false", False), ("0", False),
     ("-1", False), ("", None), ("null", None), (None, None)],
)  # fmt: skip
def test_a_thumb_is_a_text(text: Any, thumb: bool | None) -> None:
    for key in ("feedback", "thumbs", "feedback.thumbs"):
        assert said(**{key: text})[0].value is thumb


def test_other_metrics_take_numbers_words_and_nothing() -> None:
    assert [one.value for one in said(rating="4.5", **{"feedback.tone": "polite", "feedback.solved": "true"})] == [
        4.5, "polite", True,
    ]  # fmt: skip
    assert said(rating="")[0].value is None
    assert said(**{"feedback.note": "nan"})[0].value == "nan"


@pytest.mark.parametrize("text", ["2", "maybe", "0.5", 1, True, [], {}])
def test_what_is_no_thumb_is_refused(text: Any) -> None:
    with pytest.raises(InvalidFeedback):
        said(feedback=text)


def test_metadata_without_a_word_of_feedback_is_refused_with_the_keys_that_would_do() -> None:
    with pytest.raises(InvalidFeedback, match=r"feedback, thumbs, rating, feedback\.<metric>"):
        said(ticket="A-17", **{"feedback.": "up"})


def test_keys_may_be_configured() -> None:
    door = OpenAIMetadata({"stars": "rating"})
    heard = door.parse(letter(ROUTE, {"metadata": {"stars": "4", "feedback": "up"}}, completion_id=ID))
    assert heard.submissions == (FeedbackSubmission(FeedbackTarget(decision_id=ID), "rating", 4.0),)
