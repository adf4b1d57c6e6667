"""Server-sent events that say when there is something new: a page then fetches what it shows."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from highwayman.serving.dashboard.security import HEADERS
from highwayman.serving.dashboard.site import ROOT, Site

_EVERY_S: Final = 2.0  # at most so often: a reader cannot follow more, and a router has other things to do
_SILENCE_S: Final = 20.0  # after so long a line of nothing is sent: proxies cut what is silent


def routes(site: Site) -> list[Route]:
    """Return the stream's route."""

    async def live(request: Request) -> Response:
        return StreamingResponse(_events(site), media_type="text/event-stream", headers=HEADERS)

    return [Route(f"{ROOT}/live", live)]


async def _events(site: Site) -> AsyncIterator[str]:
    """Yield an event `news` whenever the version in force or this process's decisions are others, until it ends."""
    services, silent_s = site.services, 0.0
    seen = _state(site)
    yield "retry: 2000\n\n"
    while not services.settings.drain.begun:
        await asyncio.sleep(_EVERY_S)  # no one thing can be awaited: versions and decisions come apart
        state = _state(site)
        if state != seen:
            seen, silent_s = state, 0.0
            yield f"event: news\ndata: {json.dumps({'version': services.live.version})}\n\n"
            continue
        silent_s += _EVERY_S
        if silent_s >= _SILENCE_S:
            silent_s = 0.0
            yield ": nothing new\n\n"


def _state(site: Site) -> Iterable[object]:
    latest = site.services.metrics.latest
    return site.services.live.stamp, site.services.live.position, latest[-1].id if latest else ""
