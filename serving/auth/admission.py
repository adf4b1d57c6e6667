"""What the caller of a request that FastAPI serves may do."""

from typing import Final

from fastapi import Request

from highwayman.feedback.trust.principal import ADMIN, ANONYMOUS, Principal
from highwayman.serving.http.errors import Forbidden

TENANT_HEADER: Final = "x-highwayman-tenant"
CALLER: Final = "highwayman.caller"  # in the scope of a request that FastAPI serves


def caller_of(request: Request) -> Principal:
    """Return who sends a request."""
    caller = request.scope.get(CALLER)
    return caller if isinstance(caller, Principal) else ANONYMOUS


def need_scope(scope: str, request: Request) -> None:
    """Raise Forbidden if the request's key may not do what takes `scope`."""
    if scope not in caller_of(request).scopes:
        raise Forbidden(f"This takes an API key with the scope {scope!r}.")


def tenant_of(request: Request) -> str:
    """Return whose decisions and numbers a request is about: the key's own tenant, or whom an admin names.

    Raises:
        Forbidden: another tenant is named, and the key has not the scope for that.
    """
    own = caller_of(request).tenant
    named = request.query_params.get("tenant") or request.headers.get(TENANT_HEADER) or own
    if named != own:
        need_scope(ADMIN, request)
    return named
