"""The routes of what operators want to see at a glance."""

import asyncio
from typing import Any

from fastapi import FastAPI, Request

from highwayman.feedback.trust.principal import ADMIN
from highwayman.serving.auth.admission import need_scope, tenant_of
from highwayman.serving.decisions.filters import parse_limit, parse_moment
from highwayman.serving.insight.history_view import history_view
from highwayman.serving.insight.kinds.reader import MOST_POINTS, KindsReader
from highwayman.serving.services import Services

_TENANT = "Whose, for an admin; otherwise the key's own. `*`: of all tenants together."
_WHOSE = "Whose, for an admin; otherwise the key's own."
_POINTS = 1_000
_LIMIT = f"How many points, from 1 to {MOST_POINTS}; {_POINTS} if it is not given."
_SINCE = "Not older than this: seconds since 1970, or ISO 8601."


def _parameters(**texts: str) -> dict[str, Any]:
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
            for name, text in texts.items()
        ]
    }


def add_insight_routes(rest: FastAPI, services: Services, reader: KindsReader) -> None:
    """Add them, closing over the running services; the dashboard's pages share `reader`."""

    @rest.get("/v1/history", openapi_extra=_parameters(since=_SINCE, tenant=_TENANT))
    async def history(request: Request) -> dict[str, Any]:
        """What happened over time: traffic, rewards, dollars, feedback, changes; finer the newer it is."""
        need_scope(ADMIN, request)
        since = request.query_params.get("since")
        return await asyncio.to_thread(  # some milliseconds, in which requests go on
            history_view,
            services.live.tally.history,
            tenant=tenant_of(request),
            since=0.0 if since is None else parse_moment("since", since),
            arms=list(services.pool.arms),
        )

    @rest.get("/v1/kinds", openapi_extra=_parameters(tenant=_WHOSE))
    async def kinds(request: Request) -> dict[str, Any]:
        """Traffic by kind of query: each kind named, who gets it, what is expected of whom, and what moved it."""
        need_scope(ADMIN, request)
        return (await reader.look(tenant_of(request))).kinds

    @rest.get("/v1/map", openapi_extra=_parameters(tenant=_WHOSE, limit=_LIMIT))
    async def map_of_decisions(request: Request) -> dict[str, Any]:
        """The newest decisions in two dimensions, each with the arm preferred by now, and its kind."""
        need_scope(ADMIN, request)
        limit = parse_limit(request.query_params.get("limit", str(_POINTS)), most=MOST_POINTS)
        shown = (await reader.look(tenant_of(request))).map
        return {**shown, "points": shown["points"][-limit:]}
