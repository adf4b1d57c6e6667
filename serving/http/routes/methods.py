"""Methods that no route of its own has: OPTIONS says what a path takes, HEAD is GET without a body."""

from typing import Any

from highwayman.serving.http.asgi import Scope, Send, send_response
from highwayman.serving.http.errors import OnError, RouteNotFound, error_response


async def refuse_method(scope: Scope, send: Send, on_error: OnError, *, allowed: str = "POST") -> None:
    """Answer a request whose path takes other methods; OPTIONS is no refusal."""
    headers = ((b"allow", f"{allowed}, OPTIONS".encode()),)
    if scope["method"] == "OPTIONS":
        await send_response(send, 204, b"", headers)
        return
    status, body, code = error_response(RouteNotFound(f"{scope['path']} takes {allowed} only.", status=405))
    on_error(code)
    await send_response(send, status, body, (*headers, (b"content-type", b"application/json")))


def as_get(scope: Scope) -> Scope:
    """Return the scope that a HEAD request is answered under: the server sends no body of it."""
    changed: dict[str, Any] = {**scope, "method": "GET"}
    return changed if scope.get("method") == "HEAD" else scope
