"""What operators change of the arms while routers run: it lies over the pool file, whatever that says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from highwayman.env.errors import ConfigError
from highwayman.env.pool.pool_file import PoolFile, parse_entries
from highwayman.env.pool.schema import VARIABLE
from highwayman.env.suggestions import did_you_mean

Entry = Mapping[str, Any]  # an arm's keys, as a pool file has them

PRICES: Final = ("usd_per_mtok_in", "usd_per_mtok_out", "usd_per_mtok_cached_in", "price")
_WHOLE: Final = "model"  # a key of every arm: where a change has it, the change is all of the arm


@dataclass(frozen=True, slots=True)
class ArmEdit:
    """What lies over one arm of the file."""

    entry: Entry | None  # keys in place of the file's, or all of an added arm's; None: the arm is removed
    by: str
    at: float  # seconds since the epoch

    @property
    def is_whole(self) -> bool:
        """Whether it is an arm that the file need not have."""
        return self.entry is not None and _WHOLE in self.entry


Changes = Mapping[str, ArmEdit]  # by arm


def with_changes(entries: Mapping[str, Entry], changes: Changes) -> dict[str, Entry]:
    """Return the arms of a file as they are with the changes; one that the file no longer has needs none."""
    changed = dict(entries)
    for name, change in changes.items():
        if change.entry is None:
            changed.pop(name, None)
        elif change.is_whole:
            changed[name] = change.entry
        elif name in changed:
            changed[name] = _laid_over(changed[name], change.entry)
    return changed


def changed_pool(file: PoolFile, changes: Changes) -> PoolFile:
    """Return a pool as it is with the changes. Raises ConfigError where they do not go together."""
    return parse_entries(with_changes(file.entries, changes), name="the pool, as changed") if changes else file


def add_arm(entries: Mapping[str, Entry], changes: Changes, name: str, change: ArmEdit) -> Changes:
    """Return the changes with one more arm.

    Raises:
        ConfigError: there is such an arm, the change says nothing of it, or it would send a key of the router's
            environment where the file does not send it: who may change arms need not know that key.
    """
    if name in with_changes(entries, changes):
        raise ConfigError(f"there is an arm {name!r} already; remove it first, or give another name")
    entry = change.entry or {}
    if not change.is_whole:
        raise ConfigError(f"arm {name!r}: no model. Give the model's id as the server's /v1/models names it.")
    for where, key in _variables(entry):
        if not {*_endpoints(entry)} <= {*_endpoints_with(entries, key)}:
            raise ConfigError(
                f"arm {name!r}: {where} {key!r} goes to servers to which the pool file does not send it; an arm that "
                "has a key of its own belongs into the file"
            )
    return {**changes, name: change}


def _endpoints_with(entries: Mapping[str, Entry], key: str) -> Iterator[str]:
    """Yield the endpoints to which a file sends this environment variable."""
    for entry in entries.values():
        if any(key == variable for _, variable in _variables(entry)):
            yield from _endpoints(entry)


def _variables(entry: Entry) -> Iterator[tuple[str, Any]]:
    """Yield each environment variable that an arm's server is sent, after the key that says so."""
    if entry.get("api_key_env") is not None:
        yield "api_key_env", entry["api_key_env"]
    headers = entry.get("headers")
    for value in headers.values() if isinstance(headers, Mapping) else ():
        yield from (("headers", variable) for variable in VARIABLE.findall(str(value)))


def _endpoints(entry: Entry) -> list[str]:
    """Return an arm's endpoints, as they are given; what is none of it is told when the arm is read."""
    given = [entry.get("endpoint"), *(entry["endpoints"] if isinstance(entry.get("endpoints"), list) else [])]
    return [str(endpoint) for endpoint in given if endpoint is not None]


def remove_arm(entries: Mapping[str, Entry], changes: Changes, name: str, change: ArmEdit) -> Changes:
    """Return the changes with one arm less. Raises ConfigError for one that is not there, and for the last."""
    if with_changes(entries, changes).keys() <= {_known(entries, changes, name)}:
        raise ConfigError(f"{name!r} is the pool's only arm; add another first")
    return {**changes, name: change}


def change_arm(entries: Mapping[str, Entry], changes: Changes, name: str, change: ArmEdit) -> Changes:
    """Return the changes with some keys of an arm changed. Raises ConfigError for an arm that is not there."""
    _known(entries, changes, name)
    before = changes.get(name)
    laid_over = _laid_over(before.entry if before is not None and before.entry else {}, change.entry or {})
    return {**changes, name: ArmEdit(laid_over, change.by, change.at)}


def reset_arm(entries: Mapping[str, Entry], changes: Changes, name: str) -> Changes:
    """Return the changes without those of an arm: it is as the file has it. Raises ConfigError where there are none."""
    if name not in changes:
        raise ConfigError(f"arm {name!r} is as the pool file has it{did_you_mean(name, changes)}")
    return {arm: change for arm, change in changes.items() if arm != name}


def _laid_over(entry: Entry, other: Entry) -> Entry:
    """Return an arm with the keys of the other in place of its own; prices are one thing."""
    prices = PRICES if any(key in other for key in PRICES) else ()
    return {**{key: value for key, value in entry.items() if key not in prices}, **other}


def _known(entries: Mapping[str, Entry], changes: Changes, name: str) -> str:
    names = with_changes(entries, changes)
    if name not in names:
        raise ConfigError(f"there is no arm {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}")
    return name
