"""The way in: who may see the dashboard, and the first opening, before which nothing of it is loaded."""

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from highwayman.env.errors import HighwaymanError, Unauthorized
from highwayman.feedback.trust.principal import ADMIN, ANONYMOUS, Principal
from highwayman.serving.auth.admission import CALLER
from highwayman.serving.auth.authenticator import api_key_from
from highwayman.serving.auth.sessions import Sessions
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.dashboard.security import need_same_origin
from highwayman.serving.http.asgi import Receive, Scope, Send, header, send_response
from highwayman.serving.http.cross_site import CrossSiteGuard
from highwayman.serving.http.errors import Forbidden, send_error
from highwayman.serving.insight.kinds.reader import KindsReader
from highwayman.serving.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_ROOT: Final = "/dashboard"
_SIGN_IN: Final = f"{_ROOT}/sign-in"
_KEYLESS: Final = (_SIGN_IN, f"{_ROOT}/static/")


class Dashboard:
    """Lets the operator in, by a key, by a session that was opened with one, or where the router asks for none."""

    def __init__(self, services: Services, completions: CompletionsEndpoint, kinds: KindsReader) -> None:
        """Take the running services, what answers the playground's questions, and what tells kinds of query."""
        self._services = services
        self._completions = completions
        self._kinds = kinds
        self._sessions = Sessions(services.authenticator, lambda: services.ids.secrets, time.time)
        self._pages: ASGIApp | None = None

    @staticmethod
    def matches(scope: Scope) -> bool:
        """Return whether a request is for the dashboard; a browser that asks for the address alone is led there."""
        path: str = scope["path"]
        if path == "/":
            return _wants_page(scope)
        return path.startswith(_ROOT) and (path == _ROOT or path[len(_ROOT)] == "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, guard: CrossSiteGuard) -> None:
        """Answer one request; `guard` keeps other origins' pages out of a router without keys."""
        if scope["path"] == "/":
            await send_response(send, 307, b"", [(b"location", _ROOT.encode())])
            return
        try:
            if scope["method"] not in ("GET", "HEAD"):
                need_same_origin(scope)
            principal = self._principal(scope, guard)
        except Unauthorized as error:
            if _wants_page(scope):
                await _redirect(send, f"{_SIGN_IN}?next={quote(scope['path'])}")
            else:
                await send_error(send, error, self._services.metrics.on_error)
            return
        except HighwaymanError as error:
            await send_error(send, error, self._services.metrics.on_error)
            return
        await self._loaded()({**scope, CALLER: principal}, receive, send)

    def _principal(self, scope: Scope, guard: CrossSiteGuard) -> Principal:
        """Return who asks. Raises Unauthorized, Forbidden, or without keys what `CrossSiteGuard` raises."""
        authenticator = self._services.authenticator
        if authenticator.is_open:
            guard.check({**scope, "method": "GET"})  # a form is no JSON, and only our own pages' come so far
            return ANONYMOUS
        if scope["path"].startswith(_KEYLESS):
            return ANONYMOUS
        principal = self._signed_in(scope)
        if ADMIN not in principal.scopes:
            raise Forbidden(f"The dashboard takes an API key with the scope {ADMIN!r}.")
        return principal

    def _signed_in(self, scope: Scope) -> Principal:
        """Return whom a session or else a key stands for: a proxy before us may have asked for a password of its own,
        and a browser sends that along. Raises Unauthorized.
        """
        try:
            return self._sessions.principal(scope)
        except Unauthorized:
            key = api_key_from(scope)
            if key is None:
                raise
            return self._services.authenticator.of_key(key)

    def _loaded(self) -> "ASGIApp":
        """Return the pages, loaded when they are first asked for: a router that nobody looks at is no larger."""
        if self._pages is None:
            from highwayman.serving.dashboard.routes import build_pages  # noqa: PLC0415
            from highwayman.serving.dashboard.site import build_site  # noqa: PLC0415

            site = build_site(self._services, self._completions)
            self._pages = build_pages(site, self._sessions, self._kinds)
        return self._pages


def _wants_page(scope: Scope) -> bool:
    """Return whether a person waits for a page, and no script of it for a part."""
    return "text/html" in (header(scope, b"accept") or "") and header(scope, b"hx-request") is None


async def _redirect(send: Send, path: str) -> None:
    await send_response(send, 303, b"", [(b"location", path.encode()), (b"cache-control", b"no-store")])
