"""The playground's routes."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.feedback.trust.principal import ANSWERS, FEEDBACK
from highwayman.serving.auth.admission import caller_of
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.dashboard.views.playground import answered
from highwayman.serving.dashboard.views.playground.asking import Asking


def routes(site: Site) -> list[Route]:
    """Return the routes of the page and of its parts."""

    async def playground(request: Request) -> Response:
        scopes = caller_of(request).scopes
        return site.page(
            request,
            "playground/playground.html.j2",
            aliases=list(site.services.router.objectives),
            arms=list(site.services.pool.arms),
            colors=dict(site.colors()),
            may_ask=ANSWERS in scopes,
            may_say=FEEDBACK in scopes,
        )

    async def about(request: Request) -> Response:
        return await answered.about(site, request)

    async def thumb(request: Request) -> Response:
        return await answered.thumb(site, request)

    async def prefer(request: Request) -> Response:
        return await answered.prefer(site, request)

    path = f"{ROOT}/playground"
    return [
        Route(path, playground),
        Route(f"{path}/ask", Asking(site), methods=["POST"]),
        Route(f"{path}/preference", prefer, methods=["POST"]),
        Route(f"{path}/{{decision_id}}", about),
        Route(f"{path}/{{decision_id}}/thumb", thumb, methods=["POST"]),
    ]
