"""Audit: who changed what, by the log; who may come in; and what of it every router has taken."""

import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from highwayman.feedback.trust.api_keys import ApiKey, KeyState
from highwayman.serving.dashboard.site import ROOT, Site
from highwayman.serving.insight.change_words import change_view, is_told_twice
from highwayman.serving.reload.arm_edits import pool_view


def routes(site: Site) -> list[Route]:
    """Return the page's route."""

    async def show(request: Request) -> Response:
        keys, used = await site.services.keys.all(), await site.services.keys.last_used()
        history = site.services.live.tally.history
        changes = [change_view(change) for change in history.changes if not is_told_twice(change)]
        return site.page(
            request,
            "audit.html.j2",
            changes=changes[::-1],
            keys=[(key, key_state(key, time.time()), used.get(key.id)) for key in keys],
            pool=await _pool(site),
        )

    return [Route(f"{ROOT}/audit", show)]


def key_state(key: ApiKey, now: float) -> str:
    """Return what becomes of what comes with a key, in a word."""
    is_over = key.expires_at is not None and now >= key.expires_at
    return "expired" if is_over and key.state is not KeyState.REVOKED else str(key.state)


async def _pool(site: Site) -> Mapping[str, Any] | None:
    """Return what was changed of arms beside the pool file, and which workers have taken it; None: nobody can."""
    reloader = site.services.reloader
    return None if reloader is None else pool_view(reloader.running, await reloader.everybody(0, within_s=0.0))
