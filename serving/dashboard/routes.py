"""The dashboard's routes, put together from its pages: a page is one file here, and one template."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.env.errors import HighwaymanError
from highwayman.serving.auth.sessions import Sessions
from highwayman.serving.dashboard import live
from highwayman.serving.dashboard.recent_log import RecentLog
from highwayman.serving.dashboard.security import HEADERS
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.views import (
    arms,
    audit,
    budget,
    feedback,
    map_of_queries,
    overview,
    policies,
    privacy,
    sign_in,
    why,
)
from highwayman.serving.dashboard.views.decisions import routes as decisions
from highwayman.serving.dashboard.views.playground import routes as playground
from highwayman.serving.http.errors import error_response
from highwayman.serving.insight.kinds.reader import KindsReader

_FOR_EVER = "public, max-age=31536000, immutable"  # a file's address changes when it does

Answer = Callable[[Request], Awaitable[Response]]


def build_pages(site: Site, sessions: Sessions, kinds: KindsReader) -> Starlette:
    """Return the application of all pages."""
    recent = RecentLog(site.services.history)
    routes = [
        *overview.routes(site, recent),
        *why.routes(site, kinds),
        *arms.routes(site),
        *map_of_queries.routes(site, kinds),
        *policies.routes(site),
        *budget.routes(site),
        *decisions.routes(site),
        *feedback.routes(site, recent),
        *privacy.routes(site, recent),
        *audit.routes(site),
        *playground.routes(site),
        *live.routes(site),
        *sign_in.routes(site, sessions),
        Route(f"{ROOT}/static/{{name}}", _static(site)),
    ]
    return Starlette(routes=routes, exception_handlers={HighwaymanError: _told(site), HTTPException: _missing(site)})


def _static(site: Site) -> Answer:
    async def static(request: Request) -> Response:
        asset = site.assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(404)
        headers = {
            "cache-control": _FOR_EVER,
            "x-content-type-options": "nosniff",
            "vary": "accept-encoding",
            "content-type": asset.media_type,
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.packed, headers={**headers, "content-encoding": "gzip"})
        return Response(asset.content, headers=headers)

    return static


def _told(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers an error of ours: as a page to a person, as JSON to a script."""

    async def told(request: Request, error: Exception) -> Response:
        assert isinstance(error, HighwaymanError)  # noqa: S101  (what it is registered for)
        status, body, code = error_response(error)
        site.services.metrics.on_error(code)
        if "text/html" in request.headers.get("accept", ""):
            return site.page(request, "trouble.html.j2", status=status, message=str(error))
        return Response(body, status, headers=HEADERS, media_type="application/json")

    return told


def _missing(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def missing(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return site.page(request, "trouble.html.j2", status=status, message="There is no such page.")

    return missing
