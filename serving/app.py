"""The router's ASGI application: completions on a bare route, everything else through FastAPI."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from highwayman import __version__
from highwayman.env.errors import HighwaymanError
from highwayman.feedback.trust.principal import ANONYMOUS, Principal
from highwayman.serving.auth.admission import CALLER
from highwayman.serving.completions.delegated.endpoints import DelegatedEndpoints
from highwayman.serving.completions.endpoint import CompletionsEndpoint
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
        self._cors = CorsPolicy(config.cors.allow_origins)

    def _follow(self, live: LiveConfig) -> None:
        """Go on with a configuration that has changed."""
        self._guard_against(live.config)
        if self._running is not None:
            self._running.follow(live)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
        elif scope["type"] != "http" or self._running is None or scope["path"] in _OPEN_PATHS:
            await self._rest(as_get(scope), receive, send)
        else:
            await self._handle(self._running, scope, receive, send)

    async def _admit(self, running: Handlers, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to its handler, if whoever sends it may."""
        origin = self._cors.allowed_origin(scope) if self._cors else None
        if origin is not None:
            preflight = self._cors.preflight_headers(scope, origin)
            if preflight is not None:
                await send_response(send, 200, b"", preflight)
                return
            send = self._cors.sending(send, origin)
        is_completion, other = CompletionsEndpoint.matches(scope), None
        if not is_completion:
            scope = canonical(scope)
            other = running.protocols.match(scope, send)
            is_completion = other is None and CompletionsEndpoint.matches(scope)
        send = send if other is None else other.send
        if self._settings.drain.begun:
            await refuse(send, running.services.metrics.on_error)
            return
        match = None if is_completion or other is not None else running.feedback.match(scope)
        try:
            if self._plane is not None:
                self._plane.check(scope)
            # The dashboard has a way in of its own.
            is_keyless = Dashboard.matches(scope) if match is None else match.route.keyless
            principal = ANONYMOUS if is_keyless else self._principal(running, scope)
        except HighwaymanError as error:
            await send_error(send, error, running.services.metrics.on_error)
            return
        if is_completion and scope["method"] == "POST":
            await running.completions(scope, receive, send, principal)
        elif is_completion:
            await refuse_method(scope, send, running.services.metrics.on_error)
        elif other is not None:
            await other.answer(scope, receive, send, principal)
        elif match is not None:
            await running.feedback(scope, receive, send, match=match, principal=principal)
        else:
            await self._answer_small(running, {**scope, CALLER: principal}, receive, send)

    async def _answer_small(self, running: Handlers, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request, with its caller, to a handler that is none of the busy ones."""
        if Dashboard.matches(scope):
            await running.dashboard(scope, receive, send, self._guard)
        elif DelegatedEndpoints.matches(scope):
            await running.delegated(scope, receive, send, scope[CALLER])
        else:
            await self._rest(as_get(scope), receive, send)

    def _principal(self, running: Handlers, scope: Scope) -> Principal:
        """Return who sends a request. Raises Unauthorized, or without keys what `CrossSiteGuard` raises."""
        authenticator = running.services.authenticator
        if authenticator.is_open:
            self._guard.check(scope)
        return authenticator.authenticate(scope)

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
