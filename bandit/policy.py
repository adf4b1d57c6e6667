"""What every policy is: probabilities out, changes of reward in. Nothing here draws."""

import difflib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, Protocol, runtime_checkable

import highwayman.bandit
from highwayman.env.errors import ConfigError
from highwayman.env.types import Context, Floats, PreferenceChange, RewardChange


@runtime_checkable
class Policy(Protocol):
    """A contextual-bandit policy over named arms.

    The constructor takes `d` (number of features) and `fingerprint` (of the encoder that made them), then its own
    options, all by keyword.
    """

    def probs(self, context: Context, arms: Sequence[str], penalties: Floats) -> Floats:
        """Return the probability of each eligible arm, shape (K,), in the order of `arms`, before the floor."""

    def learn(self, changes: Sequence[RewardChange]) -> None:
        """Fold changes of reward into the state, in log order."""

    def add_arm(self, name: str) -> None:
        """Give a new arm the prior; an arm already known keeps what was learned of it."""

    def drop_arm(self, name: str) -> None:
        """Take an arm out of the running; its statistics stay, should it return."""

    def state(self) -> bytes:
        """Return everything learned, as a snapshot."""

    def restore(self, state: bytes) -> None:
        """Replace everything learned by a snapshot's. Raises SnapshotError and changes nothing if it cannot be used."""


@runtime_checkable
class Expects(Protocol):
    """A policy that can say what quality it expects."""

    def expected(self, context: Context, arms: Sequence[str]) -> Floats:
        """Return the expected quality of each arm's answer, shape (K,)."""


@runtime_checkable
class Compares(Protocol):
    """A policy that learns from preferences, too."""

    compares: Literal[True]

    def learn(self, changes: Sequence[RewardChange | PreferenceChange]) -> None:
        """Fold changes of reward and of preference in, in log order."""


@runtime_checkable
class Doubtful(Protocol):
    """A policy that can take what it knows of an arm for little, once the arm has changed."""

    def weight_of(self, arm: str) -> float:
        """Return the weight of the feedback standing on an arm."""

    def doubt(self, arm: str, *, share: float) -> None:
        """Let what was said of an arm so far count for a share in (0, 1]."""


def parse_policy(spec: str) -> tuple[str, dict[str, Any]]:
    """Return import path and options of a policy given as `NAME[:option=value,...]`.

    NAME is the class name of a policy shipped (`LinTS`), or an import path (`module:Class`). Values are read as JSON
    where they are JSON, else as text. Raises ConfigError.
    """
    name, colon, last = spec.rpartition(":")
    if not colon or "=" not in last:
        name, last = spec, ""
    options: dict[str, Any] = {}
    for pair in filter(None, last.split(",")):
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise ConfigError(f"policy {spec!r}: {pair!r} is no option=value")
        options[key.strip()] = _value(value)
    return (name if ":" in name else _shipped(name)), options


def shipped_policies() -> dict[str, str]:
    """Return the import path of each policy of this package by its class name."""
    found = {}
    for module in _modules()[0]:
        for name, one in inspect.getmembers(module, inspect.isclass):
            if one.__module__ == module.__name__ and one is not Policy and issubclass(one, Policy):
                found[name] = f"{module.__name__}:{name}"
    return {name: path for name, path in found.items() if _can_be_made(policy_class(path))}


def _can_be_made(found: Any) -> bool:
    """Return whether a class is built as policies are, and not abstract."""
    return not inspect.isabstract(found) and "d" in inspect.signature(found).parameters


def missing_policies() -> dict[str, str]:
    """Return why modules of this package cannot be used here, by name: the library that is not installed."""
    return {name.rpartition(".")[2]: why for name, why in _modules()[1].items()}


def _modules() -> tuple[list[ModuleType], dict[str, str]]:
    """Return this package's modules, and why the others cannot be imported, by name."""
    found, missing = [], {}
    for info in pkgutil.iter_modules(highwayman.bandit.__path__, "highwayman.bandit."):
        try:
            found.append(importlib.import_module(info.name))
        except ImportError as error:  # an extra is not installed
            missing[info.name] = str(error)
    return found, missing


def bandit_class(name: str) -> Any:
    """Return a class of this package by its name. Raises LookupError."""
    for module in _modules()[0]:
        found = vars(module).get(name)
        if inspect.isclass(found) and found.__module__ == module.__name__:
            return found
    raise LookupError(f"there is no class {name!r} in highwayman.bandit")


def policy_class(path: str) -> Any:
    """Return the class at import path `module:Class`."""
    module_name, _, class_name = path.partition(":")
    return getattr(importlib.import_module(module_name), class_name)


def _shipped(name: str) -> str:
    known = shipped_policies()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"unknown policy {name!r}: {hint}known are {', '.join(known)}, or give module:Class")
    return known[name]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def load_policy(path: str, *, d: int, fingerprint: str, options: Mapping[str, Any] | None = None) -> Policy:
    """Return the policy at import path `module:Class`, built with `options`. Raises ConfigError."""
    try:
        found = policy_class(path)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # TypeError: a relative path
        raise ConfigError(f"policy {path!r}: {error}; give module:Class, as highwayman.bandit.lin_ts:LinTS") from error
    try:
        policy = found(d=d, fingerprint=fingerprint, **(options or {}))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"policy {path!r}: {error}") from error
    if not isinstance(policy, Policy):
        raise ConfigError(f"policy {path!r} lacks a method of the Policy protocol")
    return policy
