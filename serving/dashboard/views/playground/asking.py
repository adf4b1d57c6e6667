"""A question of the page's, handed to what answers every client, as whoever is signed in."""

from starlette.requests import Request

from highwayman.serving.auth.admission import caller_of
from highwayman.serving.completions.requests.request import CHAT_PATH
from highwayman.serving.dashboard.site import Site
from highwayman.serving.http.asgi import Receive, Scope, Send


class Asking:
    """An ASGI application: bytes pass as they come, a page that goes ends the call, as for any client."""

    def __init__(self, site: Site) -> None:
        """Take the site."""
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one chat request in OpenAI's form."""
        await self._site.completions({**scope, "path": CHAT_PATH}, receive, send, caller_of(Request(scope)))
