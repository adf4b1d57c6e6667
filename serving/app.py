"""The router's ASGI application: completions on a bare route, everything else through FastAPI."""

import gc
import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from highwayman import __version__
from highwayman.env.errors import HighwaymanError, Unauthorized, UnknownArm, UnknownDecision
from highwayman.env.types import Feedback
from highwayman.serving.asgi import Receive, Scope, Send, header, read_body, send_whole
from highwayman.serving.completions import Completions
from highwayman.serving.errors import NoSuchRoute, described, internal_error
from highwayman.serving.services import Services, Settings, running
from highwayman.serving.views import decision_view, model_view, models_view, policy_view, readiness_view
from highwayman.serving.wire import FeedbackBody, parse_feedback

_OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_FEEDBACK_LIMIT_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class Application:
    """Checks the key, then hands completions to their bare route and the rest to FastAPI."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings; everything is built when the server's lifespan starts."""
        self._keys = tuple(key.encode() for key in settings.api_keys)
        self._settings = settings
        self._completions: Completions | None = None
        self._failure: HighwaymanError | None = None
        self._rest = FastAPI(
            title="Highwayman", version=__version__, lifespan=self._lifespan, docs_url="/docs", redoc_url=None
        )
        _add_errors(self._rest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["type"] == "http" and not self._authorized(scope):
            status, body, _ = described(Unauthorized("Give a valid API key: Authorization: Bearer KEY."))
            await send_whole(send, status, body)
        elif self._completions is not None and Completions.serves(scope):
            await self._completions(scope, receive, send)
        else:
            await self._rest(scope, receive, send)

    def _authorized(self, scope: Scope) -> bool:
        if not self._keys or scope["path"] in _OPEN_PATHS:
            return True
        given = (header(scope, b"authorization") or "").removeprefix("Bearer ").encode()
        return any([hmac.compare_digest(given, key) for key in self._keys])  # noqa: C419  (all of them, in equal time)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan; an error of ours that ends it at its start is told in a line."""

        async def told(message: MutableMapping[str, Any]) -> None:
            if self._failure is not None and message["type"] == "lifespan.startup.failed":
                message = {**message, "message": str(self._failure)}
            await send(message)

        try:
            await self._rest(scope, receive, told)
        except HighwaymanError:
            if self._failure is None:
                raise

    @asynccontextmanager
    async def _lifespan(self, rest: FastAPI) -> AsyncIterator[None]:
        async with self._services() as services:
            limit = self._settings.config.limits.body_bytes
            self._completions = Completions(services.router, services.line, body_limit_bytes=limit)
            _add_routes(rest, services)
            gc.freeze()  # what is loaded now stays; a full collection would stop every request to look at it again
            yield
            gc.unfreeze()

    @asynccontextmanager
    async def _services(self) -> AsyncIterator[Services]:
        async with AsyncExitStack() as stack:
            try:
                services = await stack.enter_async_context(running(self._settings))
            except HighwaymanError as error:
                self._failure = error
                raise
            yield services


def _add_routes(rest: FastAPI, services: Services) -> None:
    """Add every small route, each closing over the running services."""
    names = [*services.router.objectives, *services.pool.arms]

    @rest.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The arms, and the aliases that let the policy choose."""
        return models_view(names)

    @rest.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """One arm or alias."""
        if name not in names:
            raise UnknownArm(f"The model {name!r} does not exist. Known here: {', '.join(names)}.")
        return model_view(name)

    @rest.post("/v1/feedback", openapi_extra=_body_schema())
    async def feedback(request: Request) -> dict[str, Any]:
        """Say something about an answer: a thumb, a rating, a quality; null takes it back."""
        raw = await read_body(request.receive, limit_bytes=_FEEDBACK_LIMIT_BYTES)
        return await _take_feedback(services, parse_feedback(raw))

    @rest.get("/v1/decisions/{decision_id}")
    async def decision(decision_id: str) -> dict[str, Any]:
        """What was decided, why, and what came of it."""
        services.ids.checked(decision_id)
        return decision_view(await services.store.record(decision_id), services.spec)

    @rest.get("/v1/policy")
    async def policy() -> dict[str, Any]:
        """The policy in force and each arm's numbers over the whole log."""
        return policy_view(services.live, services.router.policy_name, services.pool.arms)

    _add_probes(rest, services)


def _add_probes(rest: FastAPI, services: Services) -> None:
    @rest.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @rest.get("/readyz")
    async def readyz() -> JSONResponse:
        """Some arm's endpoint is not resting after a failure. Without Redis answers go on: that is said, not failed."""
        found = await readiness_view(services)
        return JSONResponse(found, status_code=200 if found["ready"] else 503)

    @rest.get("/metrics")
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(services.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


async def _take_feedback(services: Services, body: FeedbackBody) -> dict[str, Any]:
    """Put checked feedback on the log; return what was filed."""
    now, window_s = time.time(), services.settings.config.limits.feedback_window_s
    if now - services.ids.checked(body.decision_id) > window_s:
        raise UnknownDecision(f"This decision no longer takes feedback: it was made more than {window_s} s ago.")
    said = Feedback(
        id=secrets.token_urlsafe(9),
        decision_id=body.decision_id,
        at=now,
        source=body.source,
        metric=body.metric,
        value=services.spec.checked(body.metric, body.value),
        user=services.ids.pseudonym(body.user),
    )
    event_id = await services.journal.put(said)
    services.metrics.feedback.labels(body.metric).inc()
    return {"object": "highwayman.feedback", "id": said.id, "decision_id": said.decision_id, "metric": said.metric,
            "value": said.value, "state": "spooled" if event_id is None else "logged"}  # fmt: skip


def _body_schema() -> dict[str, Any]:
    schema = FeedbackBody.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _add_errors(rest: FastAPI) -> None:
    """Answer every error in OpenAI's shape."""

    @rest.exception_handler(HighwaymanError)
    async def ours(_: Request, error: HighwaymanError) -> Response:
        status, body, _code = described(error)
        retry = {"retry-after": "1"} if status == 503 else None
        return Response(body, status, headers=retry, media_type="application/json")

    @rest.exception_handler(HTTPException)
    async def routes(request: Request, error: HTTPException) -> Response:
        message = f"{request.method} {request.url.path} is not served here; see /docs."
        status, body, _code = described(NoSuchRoute(message, status=error.status_code))
        return Response(body, status, headers=error.headers, media_type="application/json")

    @rest.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return Response(internal_error(), 500, media_type="application/json")
