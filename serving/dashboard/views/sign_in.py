"""Sign in with an API key, and out."""

from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from highwayman.env.errors import Unauthorized
from highwayman.serving.auth.sessions import COOKIE, SESSION_S, Sessions
from highwayman.serving.dashboard.forms import form_of
from highwayman.serving.dashboard.site import ROOT, Site

_TEMPLATE: Final = "sign_in.html.j2"


def routes(site: Site, sessions: Sessions) -> list[Route]:
    """Return the page's routes."""

    async def show(request: Request) -> Response:
        return site.page(request, _TEMPLATE, goal=_own(request.query_params.get("next", ROOT)), wrong="")

    async def sign_in(request: Request) -> Response:
        form = await form_of(request)
        goal = _own(form.get("next", ROOT))
        try:
            session = sessions.open(form.get("key", "").strip())
        except Unauthorized:
            wrong = "There is no such key, or it has expired or been revoked."
            return site.page(request, _TEMPLATE, status=401, goal=goal, wrong=wrong)
        answer = RedirectResponse(goal, 303)
        # The browser says by which scheme it came, also where a proxy has taken TLS off.
        secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
        answer.set_cookie(
            COOKIE, session, max_age=int(SESSION_S), path=ROOT, secure=secure, httponly=True, samesite="strict"
        )
        return answer

    async def sign_out(request: Request) -> Response:
        answer = RedirectResponse(f"{ROOT}/sign-in", 303)
        answer.delete_cookie(COOKIE, path=ROOT, httponly=True, samesite="strict")
        return answer

    return [
        Route(f"{ROOT}/sign-in", show, methods=["GET"]),
        Route(f"{ROOT}/sign-in", sign_in, methods=["POST"]),
        Route(f"{ROOT}/sign-out", sign_out, methods=["POST"]),
    ]


def _own(path: str) -> str:
    """Return a path if it is one of the dashboard's, else the first page: nobody is sent elsewhere."""
    return path if path == ROOT or (path.startswith(f"{ROOT}/") and "//" not in path and "\\" not in path) else ROOT
