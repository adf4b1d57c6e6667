"""The router's ASGI application: completions on a bare route, everything else through FastAPI."""

import gc
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from highwayman import __version__
from highwayman.env.errors import HighwaymanError, UnknownArm
from highwayman.feedback.trust.principal import ADMIN, ANONYMOUS, Principal
from highwayman.serving.admin_routes import add_admin_routes
from highwayman.serving.auth.admission import CALLER, need_scope, tenant_of
from highwayman.serving.auth.rate_limit import RateLimit
from highwayman.serving.completions.delegated.apprentice import Apprentice
from highwayman.serving.completions.delegated.endpoints import DelegatedEndpoints
from highwayman.serving.completions.delegated.route_view import RouteView
from highwayman.serving.completions.endpoint import CompletionsEndpoint
from highwayman.serving.config.config import Config
from highwayman.serving.decisions.routes import add_decision_routes
from highwayman.serving.feedback.endpoints import FeedbackEndpoints
from highwayman.serving.feedback.vote_page import VotePage
from highwayman.serving.http.admin_plane import AdminPlane
from highwayman.serving.http.asgi import Receive, Scope, Send, send_response
from highwayman.serving.http.body_reader import BodyReader
from highwayman.serving.http.cross_site import CorsPolicy, CrossSiteGuard
from highwayman.serving.http.drain import refuse
from highwayman.serving.http.errors import send_error
from highwayman.serving.http.routes.errors import add_errors
from highwayman.serving.http.routes.methods import as_get, refuse_method
from highwayman.serving.http.routes.paths import canonical
from highwayman.serving.openapi import describe_by_hand
from highwayman.serving.protocols.routes import ProtocolRoutes, open_protocols
from highwayman.serving.reference.docs_page import add_docs_page
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.scrape import scrape
from highwayman.serving.services import Services, build_services
from highwayman.serving.views import (
    model_view,
    models_view,
    pending_counts,
    policy_view,
    readiness_view,
    savings_view,
)
from highwayman.serving.wiring.settings import Settings
from highwayman.serving.wiring.tracing import TracedMetrics

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_NEW_OBJECTS = 10_000  # between two collections; with Python's 700, those that requests under way hold set them off

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    """What answers while the server runs."""

    services: Services
    completions: CompletionsEndpoint
    protocols: ProtocolRoutes
    delegated: DelegatedEndpoints
    feedback: FeedbackEndpoints
    bodies: BodyReader
    feedback_rate: RateLimit


_Handler = Callable[[_Running, Scope, Receive, Send], Awaitable[None]]


class Application:
    """Checks the key, then hands completions to their bare route and the rest to FastAPI."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; everything is built when the server's lifespan starts."""
        self._settings = settings
        self._running: _Running | None = None
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
        config, running = live.config, self._running
        self._guard_against(config)
        if running is not None:
            running.bodies.follow(config.limits.body_limits(), patience_s=config.limits.body_s)
            running.feedback_rate.follow(config.feedback.posts_per_s)
            cascades = running.services.build_cascades(config)
            running.completions.follow(cascades=cascades, body_limit_bytes=config.limits.body_bytes)
            running.protocols.follow(live.loaded.pool.named, config.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
        elif scope["type"] != "http" or self._running is None or scope["path"] in _OPEN_PATHS:
            await self._rest(as_get(scope), receive, send)
        else:
            await self._handle(self._running, scope, receive, send)

    async def _admit(self, running: "_Running", scope: Scope, receive: Receive, send: Send) -> None:
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
            await refuse(send)
            return
        match = None if is_completion or other is not None else running.feedback.match(scope)
        try:
            if self._plane is not None:
                self._plane.check(scope)
            principal = ANONYMOUS if match is not None and match.route.keyless else self._principal(running, scope)
        except HighwaymanError as error:
            await send_error(send, error, running.services.metrics.on_error)
            return
        if is_completion and scope["method"] == "POST":
            await running.completions(scope, receive, send, principal)
        elif is_completion:
            await refuse_method(scope, send)
        elif other is not None:
            await other.answer(scope, receive, send, principal)
        elif DelegatedEndpoints.matches(scope):
            await running.delegated(scope, receive, send, principal)
        elif match is not None:
            await running.feedback(scope, receive, send, match=match, principal=principal)
        else:
            await self._rest({**as_get(scope), CALLER: principal}, receive, send)

    def _principal(self, running: "_Running", scope: Scope) -> Principal:
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
        config = self._settings.config
        async with self._services() as services, AsyncExitStack() as stack:
            feedback = services.feedback
            bodies = BodyReader(config.limits.body_limits(), patience_s=config.limits.body_s)
            feedback_rate = RateLimit(config.feedback.posts_per_s)
            completions = CompletionsEndpoint(
                services.router,
                services.proxy_dependencies,
                feedback.links,
                services.conversations,
                tags=services.tags,
                cascades=services.cascades,
                bodies=bodies,
                body_limit_bytes=config.limits.body_bytes,
                answers=services.answers,
                guard=services.guard,
                quotas=services.quotas,
            )
            protocols = await stack.enter_async_context(
                open_protocols(
                    self._settings,
                    completions,
                    bodies,
                    on_error=services.metrics.on_error,
                    guard=services.guard,
                    quotas=services.quotas,
                )
            )
            self._running = _Running(
                services,
                completions,
                protocols,
                DelegatedEndpoints(
                    completions,
                    RouteView(services.router, config.limits.feedback_window_s),
                    Apprentice(services.router, config.tournament.champion),
                    services.outcomes,
                    services.journal,
                    services.conversations,
                    services.metrics,
                    bodies,
                ),
                FeedbackEndpoints(
                    feedback.service,
                    feedback.adapters,
                    VotePage(services.ids),
                    feedback_rate,
                    bodies=bodies,
                    clock=time.time,
                    on_error=services.metrics.on_error,
                ),
                bodies,
                feedback_rate,
            )
            services.on_change.append(self._follow)
            if isinstance(services.metrics, TracedMetrics):
                self._handle = services.metrics.tracer.wrapping(self._admit)
            _add_routes(rest, services, protocols.names)
            rest.openapi = describe_by_hand(rest, feedback.adapters)  # type: ignore[method-assign]
            gc.freeze()  # what is loaded now stays; a full collection would stop every request to look at it again
            thresholds = gc.get_threshold()
            gc.set_threshold(_NEW_OBJECTS, *thresholds[1:])
            yield
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            bodies.close()

    @asynccontextmanager
    async def _services(self) -> AsyncIterator[Services]:
        async with AsyncExitStack() as stack:
            try:
                services = await stack.enter_async_context(build_services(self._settings))
            except HighwaymanError as error:
                self._failure = error
                raise
            yield services


def _add_routes(rest: FastAPI, services: Services, named: Callable[[], Iterable[str]]) -> None:
    """Add every small route, each closing over the running services; `named` gives the models asked by name."""

    def names() -> list[str]:
        return [*services.router.objectives, *services.pool.arms, *named()]

    @rest.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The arms, and the aliases that let the policy choose."""
        return models_view(names())

    @rest.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """One arm or alias."""
        if name not in names():
            raise UnknownArm(f"The model {name!r} does not exist. Known here: {', '.join(names())}.")
        return model_view(name)

    @rest.get("/v1/policy")
    async def policy(request: Request) -> dict[str, Any]:
        """The policy in force and each arm's numbers over the whole log."""
        need_scope(ADMIN, request)
        stored = services.settings.config.answer_cache
        return policy_view(
            services.live,
            services.router.policy_name,
            services.pool,
            ramp=services.router.ramp.ramp,
            at=time.time(),
            objectives=services.router.objectives,
            stored=() if stored is None else stored.arm_names(),
            pending=await pending_counts(services),
        )

    @rest.get("/v1/savings")
    async def savings(request: Request) -> dict[str, Any]:
        """What the router saved beside its baseline, for the tenant of the key that asks, or that an admin names."""
        need_scope(ADMIN, request)
        return savings_view(services, tenant_of(request))

    add_decision_routes(rest, services)
    add_admin_routes(rest, services)
    add_docs_page(rest)
    _add_probes(rest, services)


def _add_probes(rest: FastAPI, services: Services) -> None:
    @rest.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @rest.get("/readyz")
    async def readyz() -> JSONResponse:
        """Some arm's endpoint is not resting after a failure. Without Redis answers go on: that is said, not failed."""
        readiness = await readiness_view(services)
        return JSONResponse(readiness, status_code=200 if readiness["ready"] else 503)

    @rest.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Prometheus' text format."""
        need_scope(ADMIN, request)
        return Response(await scrape(services), media_type=CONTENT_TYPE_LATEST)
