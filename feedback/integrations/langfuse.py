"""Langfuse's scores: what its SDKs, and products that speak its API, send when they are given this router's address."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from highwayman.env.errors import InvalidFeedback
from highwayman.env.metric import LONGEST_TEXT
from highwayman.env.types import JsonObject
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback, WebhookRequest
from highwayman.feedback.integrations.reading import text_field

_SCORES = "POST /api/public/scores"
_SCORE = "DELETE /api/public/scores/{scoreId}"
_INGESTION = "POST /api/public/ingestion"
_SPANS = "POST /api/public/otel/v1/traces"
_PROJECTS = "GET /api/public/projects"
_HEALTH = "GET /api/public/health"

_OF = "a score's "  # in errors
_MOST_SCORES = 10_000  # in one request; the SDKs fill at most 1 MB
_LARGEST_NUMBER = 1e300
_THUMBS = "thumbs"
_METRICS: Mapping[str, str] = MappingProxyType({"user-feedback": _THUMBS})
_USER_KEYS = ("userId", "user_id")  # of a score's metadata

_UP = frozenset({"1", "true", "yes", "up", "thumbsup", "positive", "like", "good"})
_DOWN = frozenset({"0", "-1", "false", "no", "down", "thumbsdown", "negative", "dislike", "bad"})

_PROJECT: JsonObject = {
    "id": "highwayman",
    "name": "highwayman",
    "organization": {"id": "highwayman", "name": "highwayman"},
    "metadata": {},
}


class Langfuse:
    """Parses scores sent to Langfuse's public API; spans and traces are answered and thrown away.

    Looked at: the calls of the Python SDKs 3.15.0, 4.18.0 and 5.0.4, Langfuse's handlers of these paths, and what
    LibreChat sends. Up to version 4 an SDK sends events to `/api/public/ingestion`; version 5 sends a list to
    `/api/public/scores`. A score joins by its trace, whose id the application also sends along with its request to
    the router, or by its session. One on an observation means the answer whose request named the observation (in
    `traceparent` or `metadata`), or the only answer of its trace; the trace's other answers it does not mean.
    LibreChat derives the trace's id from that of the message and says both: there,
    `about: messageId` joins by the message instead.
    """

    source = "langfuse"
    ignores_unknown_metrics = True  # scores under names that are not declared are answered, and not filed
    routes = (_SCORES, _SCORE, _INGESTION, _SPANS, _PROJECTS, _HEALTH)

    def __init__(self, metrics: Mapping[str, str] = _METRICS, *, about: str = "") -> None:
        """Take metrics by the names of scores, and the key of a score's metadata that names the answer, if any."""
        self._metrics = dict(metrics)
        self._about = about

    def parse(self, request: WebhookRequest) -> ParsedFeedback:
        """Return the scores in a request. Raises InvalidFeedback."""
        if request.route == _SCORES:
            return self._batch(request.body) if isinstance(request.body, list) else self._single(request.body)
        if request.route == _INGESTION:
            return self._events(request.body)
        if request.route == _SCORE:
            score_id = request.path_params.get("scoreId", "")
            return ParsedFeedback(
                retractions=(score_id,), response={"message": "Score deletion queued successfully"}, status=202
            )
        if request.route == _PROJECTS:
            return ParsedFeedback(response={"data": [_PROJECT]})
        return ParsedFeedback(response={"status": "OK", "version": "3.0.0"} if request.route == _HEALTH else {})

    def _single(self, score: Any) -> ParsedFeedback:
        submission = self._submission(score)
        return ParsedFeedback((submission,), response={"id": submission.external_id})

    def _batch(self, scores: list[Any]) -> ParsedFeedback:
        """Return the scores that can be read; what is wrong with the others is reported beside them."""
        _check_length(scores)
        submissions: list[FeedbackSubmission] = []
        errors: list[JsonObject] = []
        for score in scores:
            try:
                submissions.append(self._submission(score))
            except InvalidFeedback as error:
                errors.append({"message": str(error)})
        if not errors:
            return ParsedFeedback(tuple(submissions), response={"message": "Accepted"}, status=202)
        response: JsonObject = {"accepted": len(submissions), "rejected": len(errors), "errors": errors}
        return ParsedFeedback(tuple(submissions), response=response, status=207)

    def _events(self, body: Any) -> ParsedFeedback:
        """Return the scores among a batch of events; the others succeed and are not filed."""
        batch = body.get("batch") if isinstance(body, dict) else None
        if not isinstance(batch, list):
            raise InvalidFeedback('the body must be {"batch": [events]}')
        _check_length(batch)
        submissions: list[FeedbackSubmission] = []
        response: dict[str, list[JsonObject]] = {"successes": [], "errors": []}
        for event in batch:
            event_id = _event_id(event)
            try:
                submissions += self._submissions(event)
            except InvalidFeedback as error:
                response["errors"].append({"id": event_id, "status": 400, "message": str(error)})
            else:
                response["successes"].append({"id": event_id, "status": 201})
        return ParsedFeedback(tuple(submissions), response={**response}, status=207)

    def _submissions(self, event: Any) -> tuple[FeedbackSubmission, ...]:
        if not isinstance(event, dict):
            raise InvalidFeedback("an event must be an object with id, type and body")
        return (self._submission(event.get("body")),) if event.get("type") == "score-create" else ()

    def _submission(self, score: Any) -> FeedbackSubmission:
        if not isinstance(score, dict):
            raise InvalidFeedback("a score must be an object with name, value, and traceId or sessionId")
        name = text_field(score, "name", of=_OF)
        if not name:
            raise InvalidFeedback("a score must have a name")
        metric = self._metrics.get(name, name)
        metadata = score["metadata"] if isinstance(score.get("metadata"), dict) else {}
        user = next((user_id for key in _USER_KEYS if (user_id := _loose_text(metadata, key))), "")
        target = self._which(score, metadata)
        return FeedbackSubmission(
            target,
            metric,
            _thumb(score.get("value")) if metric == _THUMBS else _value(score),
            source=self.source,
            user=user or None,
            comment=text_field(score, "comment", of=_OF) or None,
            external_id=text_field(score, "id", of=_OF)
            or _made_id(target.request_id, target.conversation_id, name, user, *filter(None, (target.generation_id,))),
        )

    def _which(self, score: JsonObject, metadata: JsonObject) -> FeedbackTarget:
        named_id = _loose_text(metadata, self._about) if self._about else ""
        observation_id = "" if named_id else text_field(score, "observationId", of=_OF)
        request_id = named_id or text_field(score, "traceId", of=_OF) or observation_id
        session_id = text_field(score, "sessionId", of=_OF)
        if not (request_id or session_id):
            raise InvalidFeedback("a score must have a traceId or a sessionId")
        if not request_id:
            return FeedbackTarget(conversation_id=session_id)
        return FeedbackTarget(
            request_id=request_id, generation_id="" if observation_id == request_id else observation_id
        )


def _thumb(value: Any) -> bool:
    """Return whether a value is a thumb up. Raises InvalidFeedback for what is no thumb."""
    if isinstance(value, str):
        word = value.strip().lower().replace("_", "").replace(" ", "")
        if word in _UP or word in _DOWN:
            return word in _UP
    elif isinstance(value, int | float) and value in (1, 0, -1):
        return value == 1
    raise InvalidFeedback("the value of a thumb must be 1 or 0 (or -1), thumbsUp or thumbsDown")


def _value(score: JsonObject) -> bool | float | str:
    value = score.get("value")
    if score.get("dataType") == "BOOLEAN":
        if not isinstance(value, int | float) or value not in (0, 1):
            raise InvalidFeedback("the value of a BOOLEAN score must be 1 or 0")
        return value == 1
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and -_LARGEST_NUMBER < value < _LARGEST_NUMBER:
        return float(value)
    if isinstance(value, str):
        return text_field(score, "value", of=_OF)
    raise InvalidFeedback("the value of a score must be a number or text")


def _loose_text(metadata: JsonObject, key: str) -> str:
    text = metadata.get(key)
    return text if isinstance(text, str) and len(text) <= LONGEST_TEXT else ""


def _made_id(*parts: str) -> str:
    """Return an id for a score that has none: the same for the same score of the same answer by the same person."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _event_id(event: Any) -> str:
    event_id = event.get("id") if isinstance(event, dict) else None
    return event_id if isinstance(event_id, str) else "unknown"


def _check_length(entries: list[Any]) -> None:
    if len(entries) > _MOST_SCORES:
        raise InvalidFeedback(f"a batch must have at most {_MOST_SCORES} entries, got {len(entries)}")
