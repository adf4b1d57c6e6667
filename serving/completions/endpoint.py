"""`/v1/chat/completions` and `/v1/completions` as bare ASGI: from the request's bytes to its call."""

import logging
from collections.abc import Callable

from highwayman.env.errors import HighwaymanError
from highwayman.feedback.trust.principal import ANSWERS, Caller
from highwayman.serving.completions.proxy import Call, Line
from highwayman.serving.completions.request import Asked, parse_chat, parse_completion
from highwayman.serving.completions.router import Asker, Route, Router
from highwayman.serving.completions.routing_options import wish_of
from highwayman.serving.http.asgi import Begun, ClientGone, Receive, Scope, Send, read_body, send_whole, unless_gone
from highwayman.serving.http.client_ids import Links
from highwayman.serving.http.errors import Forbidden, NoSuchRoute, described, internal_error, without_message

_PARSERS: dict[str, Callable[[bytes], Asked]] = {
    "/v1/chat/completions": parse_chat,
    "/v1/completions": parse_completion,
}

log = logging.getLogger(__name__)


class Completions:
    """Routes and answers requests for completions."""

    def __init__(self, router: Router, line: Line, links: Links, *, body_limit_bytes: int) -> None:
        """Take what decides, what calls, what reads the client's own ids, and the largest body accepted."""
        self._router = router
        self._line = line
        self._links = links
        self._body_limit_bytes = body_limit_bytes

    @staticmethod
    def serves(scope: Scope) -> bool:
        """Return whether the request is for one of its paths."""
        return scope["type"] == "http" and scope["path"] in _PARSERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        """Answer one request."""
        try:
            asked, route = await self._decided(scope, receive, caller)
        except ClientGone:
            return
        except HighwaymanError as error:
            status, body, code = described(error)
            self._line.metrics.refused.labels(code).inc()
            await send_whole(send, status, body)
            return
        except Exception as error:  # a client is told, whatever it is; the log names the place and no payload
            log.error("could not route a request: %s", type(error).__name__, exc_info=without_message(error))
            await send_whole(send, 500, internal_error())
            return
        call = Call(self._line, asked, route, path=scope["path"])
        begun = Begun(send)
        try:
            await unless_gone(call.run(begun), receive)
        except Exception as error:
            log.error("could not answer a request: %s", type(error).__name__, exc_info=without_message(error))
            if not begun:
                await send_whole(send, 500, internal_error())

    async def _decided(self, scope: Scope, receive: Receive, caller: Caller) -> tuple[Asked, Route]:
        if ANSWERS not in caller.scopes:
            raise Forbidden("This API key may not ask for answers.")
        if scope["method"] != "POST":
            raise NoSuchRoute(f"{scope['path']} takes POST only.", status=405)
        raw = await read_body(receive, limit_bytes=self._body_limit_bytes)
        started = self._line.timer()
        asked = _PARSERS[scope["path"]](raw)
        asker = Asker(caller.tenant, asked.user, self._links(scope, asked.body, caller.tenant))
        route = await self._router.route(asked.model, asked.query, wish=wish_of(scope), asker=asker)
        self._line.metrics.decided(route.decision, self._line.timer() - started)
        return asked, route
