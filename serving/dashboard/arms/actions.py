"""What the page of arms does to one: the form that asks for it, and what came of it in words."""

import time
from collections.abc import Mapping
from typing import Any, Final

from highwayman.env.errors import ConfigError, StoreUnavailable
from highwayman.env.pool.changes.pool_changes import PRICES
from highwayman.feedback.trust.principal import Principal
from highwayman.serving.dashboard.told import Told, who
from highwayman.serving.http.validation import BadRequest
from highwayman.serving.reload.arm_edits import ARM_EDITS, edit_of
from highwayman.serving.reload.live_config import Change
from highwayman.serving.reload.reloader import Reloader

_WITHIN_S: Final = 2.0  # all workers have taken a change
_NUMBERS: Final = frozenset({*PRICES[:-1], "context_window_tokens"})
_DONE: Final[Mapping[str, str]] = {
    "add": "{arm} is added to the pool.",
    "probation": "{arm} is on probation: it gets its trial's share, and what the policy gives it.",
    "drain": "{arm} drains: it finishes what it has and gets no more.",
    "undrain": "{arm} is active.",
    "price": "{arm} has another price.",
    "remove": "{arm} is removed from the pool.",
    "reset": "{arm} is as the pool file has it.",
}


async def act(reloader: Reloader | None, form: Mapping[str, str], caller: Principal) -> Told:
    """Do what a form asks for; return what came of it, also where it could not be done."""
    verb, arm = form.get("verb", ""), form.get("arm", "").strip()
    if verb not in ARM_EDITS or not arm:
        raise BadRequest(f"{verb!r} of {arm!r} is nothing that is done to an arm; there are {', '.join(ARM_EDITS)}.")
    if reloader is None:
        return Told("bad", "This router was started without files, so its arms cannot be changed.", {})
    by = who(caller)
    try:
        keys = _keys(form) if verb in ("add", "price") else {}
        change = await reloader.edit(by, edit_of(verb, arm, keys, by=by, at=time.time()))
    except ConfigError as error:
        return Told("bad", f"Nothing has changed: {str(error).removesuffix('.')}.", {})
    except StoreUnavailable:
        return Told("bad", "Nothing has changed: Redis does not answer, so no router would hear of it.", {})
    return Told("good", _DONE[verb].format(arm=arm), change.changed, await _taken(reloader, change))


async def _taken(reloader: Reloader, change: Change) -> str:
    """Return in words who has taken a change."""
    try:
        workers = await reloader.everybody(change.generation, within_s=_WITHIN_S)
    except StoreUnavailable:
        return "Redis has stopped answering: which workers have it is not known."
    late = [name for name, report in workers.items() if report["generation"] < change.generation or report["error"]]
    if not late:
        return "The one worker there is has taken it." if len(workers) == 1 else f"All {len(workers)} workers have it."
    why = {name: workers[name]["error"] or "not heard of it yet" for name in late}
    told = "; ".join(f"{name}: {reason}" for name, reason in why.items())
    return f"{len(workers) - len(late)} of {len(workers)} workers have it; {told}"


def _keys(form: Mapping[str, str]) -> dict[str, Any]:
    """Return an arm's keys as a pool file has them, of the fields that are filled in."""
    given = {name.removeprefix("key."): value.strip() for name, value in form.items() if name.startswith("key.")}
    keys = {name: _value(name, value) for name, value in given.items() if value}
    if keys.get("price") != "unknown":
        keys.pop("price", None)
    return keys


def _value(name: str, text: str) -> Any:
    """Return what a field says; what is no number stays as it is, for the pool's schema to name."""
    if name == "tools":
        return {"yes": True, "no": False}.get(text, text)
    if name in _NUMBERS:
        try:
            return int(text) if name == "context_window_tokens" else float(text)
        except ValueError:
            return text
    return text
