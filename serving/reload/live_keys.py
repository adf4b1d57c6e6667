"""Which keys of highwayman.yaml may change while a router runs, and what differs between two configurations."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from highwayman.serving.config.config import Config

_LIVE: Final = (
    *("objective", "cost_weights", "latency_weight", "energy_weight", "budget", "exploration", "trial", "control"),
    *("cascade", "reload", "cors", "allowed_hosts", "tenants", "retention.prompts", "feedback.posts_per_s"),
    *(f"limits.{name}" for name in ("body_bytes", "body_values", "messages", "body_s")),
    *(f"limits.{name}" for name in ("first_byte_s", "silence_s", "all_attempts_s", "without_redis")),
)
_LONGEST = 200  # characters of a value that is told


def with_live_keys(running: Config, loaded: Config) -> tuple[Config, list[str]]:
    """Return a running configuration with all of a loaded one's keys that may change, and those that may not, but do.

    Raises:
        ValueError: what changes does not go together with what stays.
    """
    tree, wanted = _given(running), _given(loaded)
    for key in _LIVE:
        _put(tree, key, _get(wanted, key))
    config = Config.model_validate(tree)
    changed = differences(config.model_dump(mode="json"), loaded.model_dump(mode="json"))
    return config, sorted(changed)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return for each key, dotted, at which two trees differ, the value before and the one after; None: none."""
    return {key: [_told(old), _told(new)] for key, old, new in _pairs(before, after, ()) if old != new}


def _pairs(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield ".".join(path), before, after
        return
    for name in dict.fromkeys([*before, *after]):
        yield from _pairs(before.get(name), after.get(name), (*path, str(name)))


def _told(value: Any) -> Any:
    value = _given_of(value)
    return value if len(str(value)) <= _LONGEST else f"{str(value)[:_LONGEST]}..."


def _given_of(value: Any) -> Any:
    """Return a value without the keys, at any depth, that say nothing."""
    if not isinstance(value, Mapping):
        return value
    return {name: _given_of(part) for name, part in value.items() if part is not None}


def _given(config: Config) -> dict[str, Any]:
    """Return the sections of a configuration as they are, each its own copy."""
    return {
        name: {part: getattr(value, part) for part in type(value).model_fields} if name in _SPLIT else value
        for name, value in ((name, getattr(config, name)) for name in Config.model_fields)
    }


_SPLIT: Final = frozenset(key.partition(".")[0] for key in _LIVE if "." in key)


def _get(tree: Mapping[str, Any], key: str) -> Any:
    section, _, name = key.partition(".")
    return tree[section][name] if name else tree[section]


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    section, _, name = key.partition(".")
    if name:
        tree[section][name] = value
    else:
        tree[section] = value
