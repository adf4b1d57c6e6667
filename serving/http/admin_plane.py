"""Which routes are the operator's, and by which port they are reached where that is another than the others'."""

from typing import Final

from highwayman.serving.http.asgi import Scope
from highwayman.serving.http.errors import RouteNotFound
from highwayman.serving.http.routes.paths import canonical

_ADMIN: Final = (
    "/metrics",
    "/v1/policy",
    "/v1/savings",
    "/v1/history",
    "/v1/kinds",
    "/v1/map",
    "/v1/tournament",
    "/v1/admin",
    "/dashboard",
    "/",  # where a browser is led to the dashboard
)
_LIST: Final = "/v1/decisions"  # the list is the operator's, too; a decision is told to whoever knows its id


class AdminPlane:
    """Keeps the operator's routes to their own port, and everything else off it."""

    def __init__(self, port: int) -> None:
        """Take the port."""
        self._port = port

    def check(self, scope: Scope) -> None:
        """Return if a request has come in by its route's port. Raises RouteNotFound."""
        path = canonical(scope)["path"]
        is_admin = path == _LIST or any(path == root or path.startswith(f"{root}/") for root in _ADMIN)
        server = scope.get("server")
        if is_admin == (server is not None and server[1] == self._port):
            return
        where = "it is on the admin port" if is_admin else "this is the admin port"
        raise RouteNotFound(f"{scope['method']} {path} is not served here: {where}.", status=404)
