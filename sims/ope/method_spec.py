"""Estimators and intervals named on a command line: `ClippedIPS:cap=10`, `ClusteredBootstrap:replicates=1000`."""

import importlib
import inspect
import json
import pkgutil
from types import ModuleType
from typing import Any

import highwayman.sims.ope.estimators
import highwayman.sims.ope.intervals
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean
from highwayman.sims.ope.estimate import Estimator, Interval
from highwayman.sims.ope.estimators.on_policy import OnPolicy


def load_estimator(spec: str) -> Estimator:
    """Return the estimator that `NAME[:option=value,...]` or `module:Class[:...]` names.

    Values are read as JSON where they are JSON, else as text.

    Raises:
        ConfigError: there is none of that name, or it does not take these options.
    """
    found: Estimator = _made(spec, "estimator", highwayman.sims.ope.estimators, ("fit", "rounds"))
    return found


def load_interval(spec: str) -> Interval:
    """Return the interval that a spec names, as for estimators. Raises ConfigError."""
    found: Interval = _made(spec, "interval", highwayman.sims.ope.intervals, ("add", "interval"))
    return found


def _made(spec: str, what: str, package: ModuleType, methods: tuple[str, ...]) -> Any:
    name, colon, last = spec.rpartition(":")
    if not colon or "=" not in last:
        name, last = spec, ""
    one = _imported(name, what, methods) if ":" in name else _shipped(name, what, package, methods)
    options = _options(last, f"{what} {spec!r}")
    try:
        return one(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} {spec!r}: {error}; it takes {_signature(one)}") from error


def _imported(path: str, what: str, methods: tuple[str, ...]) -> Any:
    module, _, name = path.partition(":")
    try:
        one = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # the last two: no name of a module
        raise ConfigError(f"{what} {path!r}: {error}; give module:Class") from error
    if not isinstance(one, type):
        raise ConfigError(f"{what} {path!r}: is no class; give module:Class")
    missing = [method for method in methods if not hasattr(one, method)]
    if missing:
        raise ConfigError(f"{what} {path!r}: lacks {' and '.join(missing)}, which every {what} has")
    return one


def _shipped(name: str, what: str, package: ModuleType, methods: tuple[str, ...]) -> Any:
    known: dict[str, Any] = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        for found, one in inspect.getmembers(module, inspect.isclass):
            ours = one.__module__ == module.__name__ and not inspect.isabstract(one)
            if ours and not found.startswith("_") and all(hasattr(one, method) for method in methods):
                known[found] = one
    known.pop(OnPolicy.__name__, None)  # says the same of every policy asked about: what the log's own earned
    if name not in known:
        raise ConfigError(
            f"unknown {what} {name!r}{did_you_mean(name, known)}: known are {', '.join(known)}, or module:Class"
        )
    return known[name]


def _options(text: str, where: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not (equals and key):
            raise ConfigError(f"{where}: {pair.strip()!r} is no option=value")
        if key in options:
            raise ConfigError(f"{where}: {key} is given twice")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def _signature(one: Any) -> str:
    """Return the options with their defaults, as they are written in a spec."""
    return ", ".join(str(option) for option in inspect.signature(one).parameters.values()) or "no options"
