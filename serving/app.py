"""The router's ASGI application: completions on a bare route, everything else through FastAPI."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from highwayman import __version__
from highwayman.env.errors import HighwaymanError
from highwayman.feedback.trust.principal import ANONYMOUS, Principal
from highwayman.serving.auth.admission import CALLER
from highwayman.serving.completions.delegated.endpoints import DelegatedEndpoints
from highwayman.serving.completions.requests.request import PARSERS
from highwayman.serving.config.config import Config
from highwayman.serving.dashboard.entry import Dashboard
from highwayman.serving.handlers import Handlers, open_handlers
from highwayman.serving.http.admin_plane import AdminPlane
from highwayman.serving.http.asgi import Receive, Scope, Send, send_response
from highwayman.serving.http.cross_site import CorsPolicy, CrossSiteGuard
from highwayman.serving.http.drain import refuse
from highwayman.serving.http.errors import send_error
from highwayman.serving.http.routes.errors import add_errors
from highwayman.serving.http.routes.methods import as_get, refuse_method
from highwayman.serving.http.routes.paths import canonical
from highwayman.serving.openapi import describe_by_hand
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.rest_routes import add_routes
from highwayman.serving.services import Services, build_services
from highwayman.serving.wiring.settings import Settings
from highwayman.serving.wiring.tracing import TracedMetrics

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_NEW_OBJECTS = 10_000  # between two collections; with Python's 700, those that requests under way hold set them off

_Handler = Callable[[Handlers, Scope, Receive, Send], Awaitable[None]]
_Answer = Callable[[Scope, Receive, Send, Principal], Awaitable[None]]


class Application:
    """Checks the key, then hands completions to their bare route and the rest to FastAPI."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; everything is built when the server's lifespan starts."""
        self._settings = settings
        self._running: Handlers | None = None
        self._guard_against(settings.config)
        admin = settings.config.admin
        self._plane = None if admin is None else AdminPlane(admin.port)
        self._failure: HighwaymanError | None = None
        self._handle: _Handler = self._admit
        self._rest = FastAPI(
            title="Highwayman", version=__version__, lifespan=self._lifespan, docs_url=None, redoc_url=None
        )
        add_errors(self._rest, self._on_error)

    def reload(self, by: str) -> None:
        """Have configuration and pool read again soon, for whom `by` names; they are, when a start is over."""
        reloader = None if self._running is None else self._running.services.reloader
        if reloader is not None:
            reloader.request(by)

    def _on_error(self, code: str) -> None:
        if self._running is not None:
            self._running.services.metrics.on_error(code)

    def _guard_against(self, config: Config) -> None:
        self._guard = CrossSiteGuard(config.allowed_hosts, config.cors.allow_origins)
        origins = config.cors.allow_origins
        self._cors = CorsPolicy(origins) if origins else None  # None: no page of another origin may read answers

    def _follow(self, live: LiveConfig) -> None:
        """Go on with a configuration that has changed."""
        self._guard_against(live.config)
        if self._running is not None:
            self._running.follow(live)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers one request, or runs the lifespan, once it is awaited."""
        if scope["type"] == "lifespan":
            return self._run_lifespan(scope, receive, send)
        if scope["type"] != "http" or self._running is None or scope["path"] in _OPEN_PATHS:
            return self._rest(as_get(scope), receive, send)
        return self._handle(self._running, scope, receive, send)

    def _admit(self, running: Handlers, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers a request: its handler, if whoever sends it may have it answered."""
        origin = None if self._cors is None else self._cors.allowed_origin(scope)
        if self._cors is not None and origin is not None:
            preflight = self._cors.preflight_headers(scope, origin)
            if preflight is not None:
                return send_response(send, 200, b"", preflight)
            send = self._cors.sending(send, origin)
        answer: _Answer = running.completions
        is_keyless = False
        if scope["path"] not in PARSERS:
            scope = canonical(scope)
            send, is_keyless, answer = self._matched(running, scope, send)
        on_error = running.services.metrics.on_error
        if self._settings.drain.begun:
            return refuse(send, on_error)
        try:
            if self._plane is not None:
                self._plane.check(scope)
            principal = ANONYMOUS if is_keyless else self._principal(running, scope)
        except HighwaymanError as error:
            return send_error(send, error, on_error)
        if answer is running.completions and scope["method"] != "POST":
            return refuse_method(scope, send, on_error)
        return answer(scope, receive, send, principal)

    def _matched(self, running: Handlers, scope: Scope, send: Send) -> tuple[Send, bool, _Answer]:
        """Return through what a request's answer goes out, whether anybody may ask for it, and who gives it."""
        other = running.protocols.match(scope, send)
        if other is not None:
            return other.send, False, other.answer
        if scope["path"] in PARSERS:
            return send, False, running.completions
        match = running.feedback.match(scope)
        if match is not None:
            return send, match.route.keyless, partial(running.feedback, match=match)
        # The dashboard has a way in of its own.
        return send, Dashboard.matches(scope), partial(self._answer_small, running=running)

    def _answer_small(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, *, running: Handlers
    ) -> Awaitable[None]:
        """Return what answers a request that is for none of the busy handlers."""
        scope = {**scope, CALLER: principal}
        if Dashboard.matches(scope):
            return running.dashboard(scope, receive, send, self._guard)
        if DelegatedEndpoints.matches(scope):
            return running.delegated(scope, receive, send, principal)
        return self._rest(as_get(scope), receive, send)

    def _principal(self, running: Handlers, scope: Scope) -> Principal:
        """Return who sends a request. Raises Unauthorized, or without keys what `CrossSiteGuard` raises."""
        authenticator = running.services.authenticator
        if not authenticator.is_open:
            return authenticator.authenticate(scope)
        self._guard.check(scope)
        return ANONYMOUS

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan; an error of ours at startup is reported in one line."""

        async def send_with_failure(message: MutableMapping[str, Any]) -> None:
            if self._failure is not None and message["type"] == "lifespan.startup.failed":
                message = {**message, "message": str(self._failure)}
            await send(message)

        try:
            await self._rest(scope, receive, send_with_failure)
        except HighwaymanError:
            if self._failure is None:
                raise

    @asynccontextmanager
    async def _lifespan(self, rest: FastAPI) -> AsyncIterator[None]:
        async with self._services() as services, open_handlers(self._settings, services) as handlers:
            self._running = handlers
            services.on_change.append(self._follow)
            if isinstance(services.metrics, TracedMetrics):
                self._handle = services.metrics.tracer.wrapping(self._admit)
            add_routes(rest, services, handlers.protocols.names, handlers.kinds)
            rest.openapi = describe_by_hand(rest, services.feedback.adapters)  # type: ignore[method-assign]
            gc.freeze()  # what is loaded now stays; a full collection would stop every request to look at it again
            thresholds = gc.get_threshold()
            gc.set_threshold(_NEW_OBJECTS, *thresholds[1:])
            yield
            gc.set_threshold(*thresholds)
            gc.unfreeze()

    @asynccontextmanager
    async def _services(self) -> AsyncIterator[Services]:
        async with AsyncExitStack() as stack:
            try:
                services = await stack.enter_async_context(build_services(self._settings))
            except HighwaymanError as error:
                self._failure = error
                raise
            yield services
