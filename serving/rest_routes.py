"""The small routes that FastAPI serves: models, the policy in force, savings, decisions, the operator's, and probes."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from highwayman.env.errors import UnknownArm
from highwayman.feedback.trust.principal import ADMIN
from highwayman.serving.admin_routes import add_admin_routes
from highwayman.serving.auth.admission import need_scope, tenant_of
from highwayman.serving.decisions.routes import add_decision_routes
from highwayman.serving.insight.kinds.reader import KindsReader
from highwayman.serving.insight.routes import add_insight_routes
from highwayman.serving.reference.docs_page import add_docs_page
from highwayman.serving.scrape import scrape
from highwayman.serving.services import Services
from highwayman.serving.views import (
    model_view,
    models_view,
    pending_counts,
    policy_view,
    readiness_view,
    savings_view,
)


def add_routes(rest: FastAPI, services: Services, named: Callable[[], Iterable[str]], kinds: KindsReader) -> None:
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
    add_insight_routes(rest, services, kinds)
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
