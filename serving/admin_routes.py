"""The routes by which an operator changes the router while it runs."""

import time
from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request

from highwayman.env.errors import ConfigError
from highwayman.feedback.tournament.ramp import Ramp
from highwayman.feedback.trust.principal import ADMIN
from highwayman.serving.auth.admission import caller_of, need_scope
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.reload.arm_edits import ARM_EDITS, edit_of, pool_view
from highwayman.serving.reload.live_config import Change
from highwayman.serving.reload.reloader import Reloader
from highwayman.serving.services import Services
from highwayman.serving.views import tournament_view

_WITHIN_S = 2.0  # all workers have taken a change


def add_admin_routes(rest: FastAPI, services: Services) -> None:
    """Add them, closing over the running services."""
    _add_tournament(rest, services)
    _add_changes(rest, services.reloader)


def _add_changes(rest: FastAPI, reloader: Reloader | None) -> None:
    def running() -> Reloader:
        if reloader is None:
            raise BadRequest("This router was started without files; there is nothing to be read again.")
        return reloader

    async def answer(change: Change) -> dict[str, Any]:
        is_told = change.generation > 0  # else Redis is away, and the others hear of it later
        workers = await running().everybody(change.generation, within_s=_WITHIN_S) if is_told else {}
        return {
            "generation": change.generation,
            "changed": change.changed,
            "needs_restart": change.needs_restart,
            "workers": workers,
        }

    @rest.post("/v1/admin/reload")
    async def reload(request: Request) -> dict[str, Any]:
        """Read configuration and pool again, check them, and put them in force in every worker of every replica."""
        need_scope(ADMIN, request)
        try:
            return await answer(await running().reload(_who(request)))
        except ConfigError as error:
            raise BadRequest(f"What was in force stays: {error}") from None

    @rest.get("/v1/admin/pool")
    async def pool(request: Request) -> dict[str, Any]:
        """The arms in force, what of them was changed beside the pool file and by whom, and who has taken that."""
        need_scope(ADMIN, request)
        return pool_view(running().running, await running().everybody(0, within_s=0.0))

    @rest.post("/v1/admin/pool/{verb}/{arm:path}")
    async def edit(
        verb: str, arm: str, request: Request, keys: Annotated[dict[str, Any] | None, Body()] = None
    ) -> dict[str, Any]:
        """Change an arm: add (keys as in pool.yaml), probation, drain, undrain, price (its keys), remove, reset."""
        need_scope(ADMIN, request)
        if verb not in ARM_EDITS:
            raise BadRequest(f"{verb!r} is nothing that is done to an arm; there are {', '.join(ARM_EDITS)}.")
        by = _who(request)
        try:
            return await answer(await running().edit(by, edit_of(verb, arm, keys or {}, by=by, at=time.time())))
        except ConfigError as error:
            raise BadRequest(str(error)) from None


def _add_tournament(rest: FastAPI, services: Services) -> None:
    referee, rules = services.referee, services.settings.config.tournament.rules()

    async def view() -> dict[str, Any]:
        ramp = Ramp.from_json(await services.store.ramp(), first=rules.first)
        return tournament_view(ramp, await referee.verdicts(), rules)

    @rest.get("/v1/tournament")
    async def tournament(request: Request) -> dict[str, Any]:
        """Who decides for how much of the traffic, and what each challenger would have earned beyond."""
        need_scope(ADMIN, request)
        return await view()

    async def after(step: Awaitable[None]) -> dict[str, Any]:
        try:
            await step
        except ConfigError as error:
            raise BadRequest(str(error)) from None
        return await view()

    @rest.post("/v1/tournament/promote/{challenger}")
    async def promote(challenger: str, request: Request, at_once: bool = False) -> dict[str, Any]:
        """Let a challenger in, by the ramp's first share, or at once for everything."""
        need_scope(ADMIN, request)
        return await after(referee.promote(challenger, at_once=at_once, who=_who(request)))

    @rest.post("/v1/tournament/rollback")
    async def rollback(request: Request) -> dict[str, Any]:
        """Take the challenger's traffic back, or go back to the champion before."""
        need_scope(ADMIN, request)
        return await after(referee.rollback(who=_who(request)))


def _who(request: Request) -> str:
    """Return by whom a change is, as the log names them."""
    return f"API, {caller_of(request).key_id or 'an operator'}"
