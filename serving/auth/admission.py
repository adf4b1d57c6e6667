"""What the caller of a request that FastAPI serves may do."""

from typing import Final

from fastapi import Request

from highwayman.feedback.trust.principal import ANONYMOUS, Principal
from highwayman.serving.http.errors import Forbidden

CALLER: Final = "highwayman.caller"  # in the scope of a request that FastAPI serves


def caller_of(request: Request) -> Principal:
    """Return who sends a request."""
    caller = request.scope.get(CALLER)
    return caller if isinstance(caller, Principal) else ANONYMOUS


def need_scope(scope: str, request: Request) -> None:
    """Raise Forbidden if the request's key may not do what takes `scope`."""
    if scope not in caller_of(request).scopes:
        raise Forbidden(f"This takes an API key with the scope {scope!r}.")
