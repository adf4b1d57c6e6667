"""TensorZero's feedback: what its clients send to the gateway's `/feedback`."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import LONGEST_TEXT
from highwayman.env.types import JsonObject
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback, WebhookRequest
from highwayman.feedback.integrations.reading import derived_id, text_field

_LARGEST_NUMBER = 1e300
_METRICS: Mapping[str, str] = MappingProxyType({})
_WORDS = ("comment", "demonstration")  # names with a meaning of their own
_USER_TAG = "user_id"


class TensorZero:
    """Parses `POST /feedback` of TensorZero's gateway.

    Looked at: the API reference of the feedback endpoint, `tensorzero-core/src/endpoints/feedback`, and the Python
    client 2026.6.0, which takes only UUIDs as ids. An inference joins by an id that the application sent along with its
    request, or without that client by the decision's own; an episode is a conversation. The answer's `feedback_id` is
    the same whenever the same person sends the same on the same answer, and a newer value replaces the older;
    comments and demonstrations stand side by side.
    """

    source = "tensorzero"
    routes = ("POST /feedback",)

    def __init__(self, metrics: Mapping[str, str] = _METRICS) -> None:
        """Take metrics by TensorZero's names for them; others are taken as they are."""
        self._metrics = dict(metrics)

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return the feedback in a request. Raises InvalidFeedback."""
        body = request.body
        if not isinstance(body, dict):
            raise InvalidFeedback("the body must be an object with metric_name, value, and inference_id or episode_id")
        submission = self._submission(body)
        dryrun = body.get("dryrun")
        if not isinstance(dryrun, bool | None):
            raise InvalidFeedback("dryrun must be true or false")
        return ParsedFeedback(() if dryrun else (submission,), response={"feedback_id": submission.external_id})

    def _submission(self, body: JsonObject) -> FeedbackSubmission:
        metric = text_field(body, "metric_name")
        if not metric:
            raise InvalidFeedback("metric_name must name a metric")
        target = _which(body)
        value = _words(metric, body.get("value")) if metric in _WORDS else _value(body)
        user = _user(body.get("tags"))
        text = value if metric in _WORDS and isinstance(value, str) else ""
        return FeedbackSubmission(
            target,
            self._metrics.get(metric, metric),
            value,
            source=self.source,
            user=user or None,
            external_id=derived_id(target.request_id, target.conversation_id, metric, user, text),
        )


def _which(body: JsonObject) -> FeedbackTarget:
    inference_id, episode_id = text_field(body, "inference_id"), text_field(body, "episode_id")
    if bool(inference_id) == bool(episode_id):
        raise InvalidFeedback("give one of inference_id and episode_id")
    return FeedbackTarget(request_id=inference_id, conversation_id=episode_id)


def _words(metric: str, value: Any) -> str:
    """Return a comment or a demonstration as text: the latter may come as the blocks of an answer, or as JSON."""
    if metric == "demonstration" and isinstance(value, list | dict):
        value = _plain(value)
    if not isinstance(value, str) or not value or len(value) > LONGEST_TEXT:
        raise InvalidFeedback(f"the value of a {metric} must be text of at most {LONGEST_TEXT} characters")
    return value


def _plain(value: list[Any] | JsonObject) -> str:
    if isinstance(value, list) and all(isinstance(block, dict) and block.get("type") == "text" for block in value):
        texts = [block.get("text") for block in value]
        if all(isinstance(text, str) for text in texts):
            return "\n".join(map(str, texts))
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        raise InvalidFeedback("the value of a demonstration is nested too deeply") from None


def _value(body: JsonObject) -> bool | float | str:
    value = body.get("value")
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and -_LARGEST_NUMBER < value < _LARGEST_NUMBER:
        return float(value)
    if isinstance(value, str):
        return text_field(body, "value")
    raise InvalidFeedback("value must be true, false, a number or text")


def _user(tags: Any) -> str:
    if tags is None:
        return ""
    if not isinstance(tags, dict):
        raise InvalidFeedback("tags must be an object of texts")
    return text_field(tags, _USER_TAG)
