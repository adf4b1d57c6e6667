"""The routes that show decisions: one of them with all that is known of it, or a page of many."""

from typing import Any

from fastapi import FastAPI, Request

from highwayman.feedback.intake.decision_ids import without_prefix
from highwayman.feedback.trust.principal import ADMIN
from highwayman.serving.auth.admission import need_scope, tenant_of
from highwayman.serving.decisions.explanation import explained
from highwayman.serving.decisions.filters import parse_filter
from highwayman.serving.decisions.listing import decisions_page
from highwayman.serving.services import Services
from highwayman.serving.views import decision_view

_PARAMETERS = {
    "limit": "How many, from 1 to 100; 20 if it is not given.",
    "after": "Where to go on: `next` of the page before.",
    "arm": "The arm intended, or who answered.",
    "mode": "route, cascade, forced, sticky or shadow.",
    "status": "How the call ended, or under_way.",
    "since": "Not older than this: seconds since 1970, or ISO 8601.",
    "until": "Not newer.",
    "tag": "A declared tag: name, name:level, or name:column.",
    "feedback": "true: with feedback; false: without.",
    "tenant": "Whose, for an admin; otherwise the key's own.",
}
_OPENAPI = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _PARAMETERS.items()
    ]
}


def add_decision_routes(rest: FastAPI, services: Services) -> None:
    """Add them, closing over the running services."""

    @rest.get("/v1/decisions", openapi_extra=_OPENAPI)
    async def decisions(request: Request) -> dict[str, Any]:
        """Decisions of the tenant of the key that asks, or whom an admin names, newest first, a page at a time."""
        need_scope(ADMIN, request)
        tags = {tag.name: tag for tag in services.tags.declared}
        wanted = parse_filter(request.query_params, tenant_of(request), tags)
        return await decisions_page(services.history, services.store, wanted, services.spec)

    @rest.get("/v1/decisions/{decision_id}")
    async def decision(decision_id: str, request: Request) -> dict[str, Any]:
        """What was decided, why, and what came of it."""
        decision_id = without_prefix(decision_id)
        services.ids.verify(decision_id, tenant_of(request))
        record = await services.store.record(decision_id)
        return {**decision_view(record, services.spec), **explained(record, services)}
