"""What operators, routers and learners changed, in a sentence each, from what the log says of it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from highwayman.env.types import DEFAULT_TENANT, ControlKind
from highwayman.feedback.fold.tallies.change_list import RecordedChange
from highwayman.feedback.tournament.ramp import BEST_CONSTANT
from highwayman.feedback.tournament.scored_learner import CONFIGURED

_STEPS: Mapping[str, str] = {
    "trial": "{challenger} is tried on {share:.3g}% of the traffic",
    "share": "{challenger} gets {share:.3g}% of the traffic",
    "promote": "{champion} decides from here on",
    "rollback": "rolled back: {champion} decides",
    "guard": "the guard has something to say",
}
# An arm's keys that have an event of their own; names may have dots.
_OWN_EVENT: Final = re.compile(r"pool\.[^.]+|pool\..+\.usd_per_mtok_(in|out)")
_STATE: Final = re.compile(r"pool\.(.+)\.state")
_NAMES = {CONFIGURED: "the configured policy", BEST_CONSTANT: "the best constant arm"}


def change_view(change: RecordedChange) -> dict[str, Any]:
    """Return a change as JSON has it, with a sentence."""
    return {"at": change.at, "kind": change.kind.value, "words": change_words(change), "detail": dict(change.detail)}


def change_words(change: RecordedChange) -> str:
    """Return a change in a sentence, with who made it where the log says so."""
    said, by = _SAID[change.kind](change.detail), change.detail.get("by")
    told = said if _begins_with_name(said, change) else said[:1].upper() + said[1:]
    return f"{told}, by {by}." if by and change.kind is not ControlKind.TOURNAMENT else f"{told}."


def _noticed(detail: Mapping[str, Any]) -> str:
    tenant = detail.get("tenant", DEFAULT_TENANT)
    whose = "" if tenant == DEFAULT_TENANT else f" for {tenant}"
    way = "better" if detail.get("better") else "worse"
    return f"{detail['arm']} was noticed to answer {way} than before{whose}; what was said until then counts little"


def _price_changed(detail: Mapping[str, Any]) -> str:
    before = f"from {_dollars(detail['before'])} " if "before" in detail else ""
    return f"the price of {detail['arm']} went {before}to {_dollars(detail.get('usd_per_mtok'))}"


def _begins_with_name(said: str, change: RecordedChange) -> bool:
    """Return whether a sentence begins with a name, whose letters stay as they are."""
    names = (change.detail.get(key) for key in ("arm", "challenger", "champion"))
    return any(name and said.startswith(str(name)) for name in names)


def _dollars(prices: Any) -> str:
    if not isinstance(prices, list | tuple) or any(price is None for price in prices):
        return "no price"
    return "$" + " in and $".join(f"{price:g}" for price in prices) + " out a million tokens"


def is_told_twice(change: RecordedChange) -> bool:
    """Return whether events beside a change of the configuration say all of it: an arm that came or went, a price."""
    keys = change.detail.get("keys") or []
    return change.kind is ControlKind.CONFIGURATION and bool(keys) and all(map(_OWN_EVENT.fullmatch, keys))


def _configuration(detail: Mapping[str, Any]) -> str:
    if detail.get("first"):
        return "the first configuration came into force"
    keys = detail.get("keys") or []
    if keys == ["refused"]:
        return "a change was refused, and nothing has changed"
    states = [match[1] for match in map(_STATE.fullmatch, keys) if match]
    if keys and len(states) == len(keys):
        return f"the state of {', '.join(states)} changed: active, on probation or draining"
    return f"the configuration changed: {', '.join(keys)}" if keys else "the configuration was announced again"


def _lineage(detail: Mapping[str, Any]) -> str:
    if "from" in detail and detail["from"] is None:
        return "learning began"
    return "all is learned anew from the log, by another policy, options, encoder or metrics"


def _tournament(detail: Mapping[str, Any]) -> str:
    known = {name: _NAMES.get(str(detail.get(name)), detail.get(name)) for name in ("champion", "challenger")}
    step = _STEPS.get(str(detail.get("step")), "the tournament took a step")
    said = step.format(**known, share=100.0 * float(detail.get("share") or 0.0))
    return f"{said} ({detail['reason']})" if detail.get("reason") else said


def _counted(detail: Mapping[str, Any], name: str, names: str) -> str:
    count = int(detail.get("count", 1))
    return f"{count} {name if count == 1 else names}"


_SAID: Final[Mapping[ControlKind, Callable[[Mapping[str, Any]], str]]] = {
    ControlKind.ARM_ADDED: lambda detail: f"{detail['arm']} joined the pool, at {_dollars(detail.get('usd_per_mtok'))}",
    ControlKind.ARM_DROPPED: lambda detail: f"{detail['arm']} left the pool",
    ControlKind.PRICE_CHANGED: _price_changed,
    ControlKind.POLICY_PROMOTED: _lineage,
    ControlKind.CONFIGURATION: _configuration,
    ControlKind.CHANGE_NOTICED: _noticed,
    ControlKind.CHANGE_WITHDRAWN: lambda _: "a notice that an arm had changed was withdrawn",
    ControlKind.ROLLBACK: lambda _: "feedback was rolled back to an earlier version",
    ControlKind.TOURNAMENT: _tournament,
    ControlKind.ERASURE: lambda detail: _counted(detail, "erasure", "erasures"),
    ControlKind.QUARANTINE: lambda detail: _counted(detail, "statement", "statements") + " quarantined or released",
}
