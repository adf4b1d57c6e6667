"""The routes of the decisions' pages."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.views.decisions import detail, listed


def routes(site: Site) -> list[Route]:
    """Return the pages' routes."""

    async def decisions(request: Request) -> Response:
        return await listed.decisions(site, request)

    async def decision(request: Request) -> Response:
        return await detail.decision(site, request)

    async def thumb(request: Request) -> Response:
        return await detail.thumb(site, request)

    path = f"{ROOT}/decisions"
    return [
        Route(path, decisions),
        Route(f"{path}/{{decision_id}}", decision),
        Route(f"{path}/{{decision_id}}/thumb", thumb, methods=["POST"]),
    ]
