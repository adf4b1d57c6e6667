"""What an operator does to an arm, by the words that the command line and the admin API have for it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from highwayman.env.errors import ConfigError
from highwayman.env.pool.changes.pool_changes import (
    PRICES,
    ArmEdit,
    Changes,
    Entry,
    add_arm,
    change_arm,
    remove_arm,
    reset_arm,
    with_changes,
)
from highwayman.serving.reload.live_config import LiveConfig
from highwayman.serving.state.announced_config import public_entries

_STATES: Final = {"probation": "probation", "drain": "draining", "undrain": "active"}
ARM_EDITS: Final = ("add", *_STATES, "price", "remove", "reset")

Edit = Callable[[Mapping[str, Entry], Changes], Changes]


def edit_of(verb: str, arm: str, keys: Entry, *, by: str, at: float) -> Edit:
    """Return what an edit makes of the changes that lie over a pool file.

    Args:
        verb: one of `ARM_EDITS`.
        arm: its name.
        keys: of an arm that is added, or the prices.
        by: who wants it.
        at: seconds since the epoch.

    Raises:
        ConfigError: keys that the verb does not take.
    """
    if verb == "price" and (not keys or not keys.keys() <= set(PRICES)):
        raise ConfigError(f"arm {arm!r}: give its price: {', '.join(PRICES[:-1])}, or `price: unknown`")
    if verb not in {"add", "price"} and keys:
        raise ConfigError(f"{verb} takes no keys, got {', '.join(map(str, keys))}")
    if verb == "reset":
        return lambda entries, changes: reset_arm(entries, changes, arm)
    if verb == "remove":
        return lambda entries, changes: remove_arm(entries, changes, arm, ArmEdit(None, by, at))
    if verb == "add":
        return lambda entries, changes: add_arm(entries, changes, arm, ArmEdit(keys, by, at))
    change = ArmEdit({"state": _STATES[verb]} if verb in _STATES else keys, by, at)
    return lambda entries, changes: change_arm(entries, changes, arm, change)


def pool_view(live: LiveConfig, workers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arms in force, what lies over the pool file, and what each worker has taken."""
    arms = with_changes(live.loaded.pool.entries, live.changes)
    return {
        "arms": public_entries(arms),
        "changes": changes_view(live.changes),
        "needs_restart": live.needs_restart,
        "workers": workers,
    }


def changes_view(changes: Changes) -> dict[str, Any]:
    """Return what lies over the arms of the pool file."""
    return {
        name: {
            "keys": None if change.entry is None else public_entries({name: change.entry})[name],
            "by": change.by,
            "at": change.at,
        }
        for name, change in changes.items()
    }
