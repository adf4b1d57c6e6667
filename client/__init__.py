"""A typed client of a router, sync and async: feedback, decisions and why, routes, and what operators look at.

>>> from highwayman.client import Client
>>> client = Client(base_url="http://127.0.0.1:8790/v1", api_key="hwk-...")
>>> client
Client('http://127.0.0.1:8790/v1')

It imports nothing of the router's. `highwayman.client.openai` wraps an `openai` client, so that answers know their
decisions.
"""

from typing import TYPE_CHECKING, Any

from highwayman.client.decision import AsyncDecision, SyncDecision
from highwayman.client.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConnectionFailed,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimedOut,
    RouterError,
    ServerError,
    StatusError,
    UnprocessableError,
    UnreadableAnswer,
)
from highwayman.client.statement import Conversation, Request, Statement
from highwayman.client.sync_client import Client

if TYPE_CHECKING:
    from highwayman.client.async_client import AsyncClient

__all__ = [
    "AsyncClient",
    "AsyncDecision",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "ConflictError",
    "ConnectionFailed",
    "Conversation",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "Request",
    "RequestTimedOut",
    "RouterError",
    "ServerError",
    "Statement",
    "StatusError",
    "SyncDecision",
    "UnprocessableError",
    "UnreadableAnswer",
]


def __getattr__(name: str) -> Any:
    """Return the async client, whose HTTP library is loaded by those alone who use it."""
    if name != "AsyncClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from highwayman.client.async_client import AsyncClient  # noqa: PLC0415

    return AsyncClient
