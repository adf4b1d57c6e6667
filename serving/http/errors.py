"""The one place that knows status codes: every error of ours as an OpenAI-shaped answer."""

import json
import logging
import math
from collections.abc import Callable, Iterable

from highwayman.env.errors import (
    BudgetExhausted,
    DataClassBarred,
    HighwaymanError,
    InvalidFeedback,
    NoEligibleArm,
    StoreUnavailable,
    Unauthorized,
    UnknownArm,
    UnknownDecision,
    UpstreamError,
)
from highwayman.feedback.log.events import UnwritableEvent
from highwayman.serving.http.asgi import JSON, Send, send_response
from highwayman.serving.http.validation import BadRequest

OnError = Callable[[str], None]  # called with the code of an error that a client is told

log = logging.getLogger(__name__)


class Forbidden(HighwaymanError):
    """A key that is known, but may not do this."""


class HostNotAllowed(HighwaymanError):
    """A request that calls a router without keys by a name that is not the router's."""


class OriginNotAllowed(HighwaymanError):
    """A request to a router without keys by a page of another origin."""


class RateLimited(HighwaymanError):
    """More than a key or its tenant may have; `wait_s` says when there may be more (infinite: never of that size)."""

    def __init__(self, message: str, *, wait_s: float, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.headers = tuple(headers)  # that tell of the limits


class ShuttingDown(HighwaymanError):
    """A request that this router does not take, or does not finish, because it is about to end."""


class RouteNotFound(HighwaymanError):
    """A path or method that this server does not have; `status` is 404 or 405."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


_BAD_REQUESTS = {
    **{408: "request_timeout", 413: "request_too_large"},
    **{415: "unsupported_media_type", 422: "invalid_feedback"},
}
_BAD_REQUESTS_IN_WORDS = {
    400: "The request cannot be followed; `param` says which field.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "A body of a type that is not taken.",
    422: "Feedback that cannot be followed.",
}
_INVALID, _SERVER = "invalid_request_error", "server_error"
_BY_KIND: tuple[tuple[type[HighwaymanError], int, str, str], ...] = (
    (UnknownArm, 404, _INVALID, "model_not_found"),
    (DataClassBarred, 403, _INVALID, "data_class_not_allowed"),
    (NoEligibleArm, 400, _INVALID, "no_eligible_model"),
    (BudgetExhausted, 429, "insufficient_quota", "budget_exhausted"),
    (UnknownDecision, 404, _INVALID, "decision_not_found"),
    (InvalidFeedback, 422, _INVALID, "invalid_feedback"),
    (UnwritableEvent, 422, _INVALID, "invalid_feedback"),
    (StoreUnavailable, 503, _SERVER, "store_unavailable"),
    (Unauthorized, 401, _INVALID, "invalid_api_key"),
    (HostNotAllowed, 403, _INVALID, "host_not_allowed"),
    (OriginNotAllowed, 403, _INVALID, "origin_not_allowed"),
    (Forbidden, 403, _INVALID, "insufficient_permissions"),
    (ShuttingDown, 503, _SERVER, "shutting_down"),
    (RateLimited, 429, "rate_limit_error", "rate_limit_exceeded"),
)

CODES = (  # of all errors that are told
    *dict.fromkeys((*_BAD_REQUESTS.values(), *(code for *_, code in _BY_KIND))),
    "invalid_request",
    "not_found",
    "upstream_failed",
    "internal_error",
)


def error_codes() -> list[tuple[int, str, str]]:
    """Return status and code of every error that is told, and when it is, in words, by status."""
    told = [(status, code, (kind.__doc__ or "").partition("\n")[0]) for kind, status, _, code in _BY_KIND]
    bad_requests = [(400, "invalid_request"), *_BAD_REQUESTS.items()]
    told += [(status, code, _BAD_REQUESTS_IN_WORDS[status]) for status, code in bad_requests]
    told += [
        (404, "not_found", "A path or method that is not served; the message says which to take instead."),
        (500, "internal_error", "A fault of the router's."),
        (502, "upstream_failed", "No model server answered; 429 and 503, too, where that is what the servers say."),
    ]
    return sorted(dict.fromkeys(told))


def error_response(error: HighwaymanError) -> tuple[int, bytes, str]:
    """Return status, body and code of the answer that tells a client about `error`."""
    if isinstance(error, BadRequest):
        code = _BAD_REQUESTS.get(error.status, "invalid_request")
        return error.status, error_body(str(error), _INVALID, code, param=error.param), code
    if isinstance(error, RouteNotFound):
        return error.status, error_body(str(error), _INVALID, "not_found"), "not_found"
    if isinstance(error, UpstreamError):
        kind = "rate_limit_error" if error.status == 429 else _SERVER
        return error.status, error_body(str(error), kind, "upstream_failed"), "upstream_failed"
    for kind_of_error, status, kind, code in _BY_KIND:
        if isinstance(error, kind_of_error):
            return status, error_body(str(error), kind, code), code
    return 500, internal_error(), "internal_error"


async def send_error(send: Send, error: HighwaymanError, on_error: OnError) -> None:
    """Tell a client about an error, with when to ask again where that may help."""
    status, body, code = error_response(error)
    on_error(code)
    await send_response(send, status, body, (*JSON, *retry_headers(error)))


async def send_fault(send: Send | None, error: Exception, on_error: OnError, *, doing: str) -> None:
    """Tell a client that the router failed; None: an answer has begun. The log names the place and no payload."""
    log.error("could not %s: %s", doing, type(error).__name__, exc_info=redacted(error))
    on_error("internal_error")
    if send is not None:
        await send_response(send, 500, internal_error())


def retry_headers(error: HighwaymanError) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that say when to ask again, and what limits there are; none where that does not help."""
    if isinstance(error, (StoreUnavailable, ShuttingDown)):
        return ((b"retry-after", b"1"),)
    if not isinstance(error, RateLimited):
        return ()
    retry = () if math.isinf(error.wait_s) else ((b"retry-after", str(math.ceil(error.wait_s)).encode()),)
    return (*error.headers, *retry)


def internal_error() -> bytes:
    """Return the body for a fault of ours, which tells a client nothing of its inside."""
    return error_body("The router failed to handle this request.", _SERVER, "internal_error")


def error_body(message: str, kind: str, code: str, *, param: str | None = None) -> bytes:
    """Return an error object as OpenAI's API writes it."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


def redacted(error: Exception) -> Exception:
    """Return an error of the same trace whose message, which might quote what somebody wrote, is left out."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
