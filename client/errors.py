"""What can go wrong, by kind: the names are those of OpenAI's client where it has one for it."""

import json
from collections.abc import Mapping
from typing import Any


class RouterError(Exception):
    """Anything that keeps a call from being answered."""


class ConnectionFailed(RouterError):
    """No answer came; `sent` says whether the request may have reached the router."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class RequestTimedOut(ConnectionFailed):
    """No answer came in time."""


class UnreadableAnswer(RouterError):
    """Something else than a router answered, such as a proxy's page to sign in."""


class StatusError(RouterError):
    """The router refused or failed, and says why: `status`, `code`, `type`, `param`, and when to ask again."""

    def __init__(self, message: str, *, status: int, error: Mapping[str, Any], retry_after_s: float | None) -> None:
        super().__init__(message)
        self.status = status
        self.code: str | None = error.get("code")  # such as decision_not_found: docs, "Errors" on the page of routes
        self.type: str | None = error.get("type")
        self.param: str | None = error.get("param")  # the field that cannot be followed
        self.retry_after_s = retry_after_s


class BadRequestError(StatusError):
    """400: the request cannot be followed."""


class AuthenticationError(StatusError):
    """401: no key, or none that is known."""


class PermissionDeniedError(StatusError):
    """403: the key lacks the scope that this needs (answers, feedback or admin)."""


class NotFoundError(StatusError):
    """404: no such decision, arm or challenger; or the decision is too old for what is said of it."""


class ConflictError(StatusError):
    """409: the router makes this call itself."""


class UnprocessableError(StatusError):
    """422: the metric is not declared, or does not take this value."""


class RateLimitError(StatusError):
    """429: a limit of the key or its tenant is reached, or the budget is spent."""


class ServerError(StatusError):
    """5xx: the router, its store or a model's server failed."""


_BY_STATUS: Mapping[int, type[StatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableError,
    429: RateLimitError,
}


def status_error(status: int, body: bytes, retry_after: str | None) -> StatusError:
    """Return the error that an answer tells of, in OpenAI's shape or, from what stands between, in any.

    >>> status_error(404, b'{"error": {"message": "No such decision.", "code": "decision_not_found"}}', None)
    NotFoundError('404 decision_not_found: No such decision.')
    >>> status_error(502, b"<html>Bad gateway</html>", None)
    ServerError('502: <html>Bad gateway</html>')
    """
    error = _error_object(body)
    code, message = error.get("code"), error.get("message") or body[:200].decode("utf-8", "replace").strip()
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else StatusError)
    wait_s = float(retry_after) if retry_after and retry_after.isdigit() else None
    head = f"{status} {code}" if code else str(status)
    return kind(f"{head}: {message}" if message else head, status=status, error=error, retry_after_s=wait_s)


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}
