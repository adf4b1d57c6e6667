"""Feedback with nothing but an OpenAI client: the metadata of a stored completion."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import LONGEST_TEXT
from highwayman.env.types import JsonObject
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget, FeedbackValue
from highwayman.feedback.integrations.adapter import ParsedFeedback, WebhookRequest

_LONGEST_NUMBER = 32  # characters
_LARGEST_NUMBER = 1e300
_THUMBS = "thumbs"
_PREFIX = "feedback."
_METRICS: Mapping[str, str] = MappingProxyType({"feedback": _THUMBS, "thumbs": _THUMBS, "rating": "rating"})
_SAID: dict[str, bool | None] = {
    "true": True, "up": True, "false": False, "down": False, "": None, "null": None,
}  # fmt: skip


class OpenAIMetadata:
    """Parses `client.chat.completions.update(completion_id, metadata={"feedback": "up"})`.

    Looked at: OpenAI's API reference, `POST /v1/chat/completions/{completion_id}`, whose only change is to `metadata`,
    texts by texts. The completion's id is the decision's.
    """

    source = "user"
    routes = ("POST /v1/chat/completions/{completion_id}",)

    def __init__(self, metrics: Mapping[str, str] = _METRICS) -> None:
        """Take metrics by the keys of metadata that stand for them, beside `feedback.` and a metric's name."""
        self._metrics = dict(metrics)

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return what the metadata say. Raises InvalidFeedback where they say nothing about the answer."""
        metadata = request.body.get("metadata") if isinstance(request.body, dict) else None
        if not isinstance(metadata, dict):
            raise InvalidFeedback('the body must be {"metadata": {key: text}}')
        completion_id = request.path_params.get("completion_id", "")
        submissions = tuple(
            FeedbackSubmission(
                FeedbackTarget(decision_id=completion_id), metric, _value(metric, value), source=self.source
            )
            for key, value in metadata.items()
            if (metric := self._metric(key))
        )
        if not submissions:
            known = ", ".join(self._metrics)
            raise InvalidFeedback(f"no key of metadata speaks of feedback; those that do: {known}, {_PREFIX}<metric>")
        completion: JsonObject = {"id": completion_id, "object": "chat.completion", "metadata": metadata}
        return ParsedFeedback(submissions, response=completion)

    def _metric(self, key: Any) -> str:
        """Return the metric that a key stands for, empty where it stands for none."""
        if not isinstance(key, str):
            return ""
        return self._metrics.get(key) or (key.removeprefix(_PREFIX) if key.startswith(_PREFIX) else "")


def _value(metric: str, text: Any) -> FeedbackValue:
    """Return what a text stands for: yes, no, nothing any more, a number, or itself."""
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise InvalidFeedback(f"the values of metadata must be text of at most {LONGEST_TEXT} characters")
    word = text.strip().lower()
    if word in _SAID:
        return _SAID[word]
    number = _number(word)
    if metric != _THUMBS:
        return text if number is None else number
    if number not in (1, 0, -1):
        raise InvalidFeedback("a thumb must be true, up or 1, or false, down, 0 or -1; empty takes it back")
    return number == 1


def _number(word: str) -> float | None:
    if len(word) > _LONGEST_NUMBER:
        return None
    try:
        number = float(word)
    except ValueError:
        return None
    return number if -_LARGEST_NUMBER < number < _LARGEST_NUMBER else None
