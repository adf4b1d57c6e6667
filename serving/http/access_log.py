"""A line for each request: who, what, how it ended, how long it took. Nothing of what was asked or answered."""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from highwayman.serving.http.asgi import Receive, Scope, Send
from highwayman.serving.telemetry.json_logs import FIELDS

_DECISION = b"x-highwayman-decision"
_SHOWN = 200  # characters of an address; the query is never shown: it may hold keys

_FIELDS = ("client", "method", "path", "status", "seconds", "decision")

log = logging.getLogger("highwayman.access")


class AccessLog:
    """An application that logs the requests of another."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], clock: Callable[[], float]) -> None:
        """Take the application and a monotonic clock in seconds."""
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and log it once its answer has ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, decision = self._clock(), 0, ""

        async def send_noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status, decision
            if message["type"] == "http.response.start":
                status = message["status"]
                decision = next((value.decode() for name, value in message["headers"] if name == _DECISION), "")
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            client = scope.get("client") or ("-",)
            path = scope["path"][:_SHOWN].encode("unicode_escape").decode()
            seconds = self._clock() - started
            told = (client[0], scope["method"], path, status or "-", round(seconds, 3), decision or "-")
            fields = {FIELDS: dict(zip(_FIELDS, told, strict=True))}
            log.info('%s "%s %s" %s %.3f s %s', *told, extra=fields)
