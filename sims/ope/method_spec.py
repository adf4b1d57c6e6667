"""Estimators and intervals named on a command line: `ClippedIPS:cap=10`, `ClusteredBootstrap:replicates=1000`."""

import inspect
import json
from types import ModuleType
from typing import Any

import highwayman.sims.ope.estimators
import highwayman.sims.ope.intervals
from highwayman.env.class_paths import class_at, classes_in
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
    estimator: Estimator = _made(spec, "estimator", highwayman.sims.ope.estimators, ("fit", "rounds"))
    return estimator


def load_interval(spec: str) -> Interval:
    """Return the interval that a spec names, as for estimators. Raises ConfigError."""
    interval: Interval = _made(spec, "interval", highwayman.sims.ope.intervals, ("add", "interval"))
    return interval


def _made(spec: str, role: str, package: ModuleType, methods: tuple[str, ...]) -> Any:
    name, colon, last = spec.rpartition(":")
    if not colon or "=" not in last:
        name, last = spec, ""
    loaded = _imported(name, role, methods) if ":" in name else _shipped(name, role, package, methods)
    options = _options(last, f"{role} {spec!r}")
    try:
        return loaded(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{role} {spec!r}: {error}; it takes {_signature(loaded)}") from error


def _imported(path: str, role: str, methods: tuple[str, ...]) -> Any:
    try:
        member = class_at(path)
    except (ImportError, AttributeError, TypeError, ValueError) as error:  # the last two: no name of a module
        raise ConfigError(f"{role} {path!r}: {error}; give module:Class") from error
    if not isinstance(member, type):
        raise ConfigError(f"{role} {path!r}: is no class; give module:Class")
    missing = [method for method in methods if not hasattr(member, method)]
    if missing:
        raise ConfigError(f"{role} {path!r}: lacks {' and '.join(missing)}, which every {role} has")
    return member


def _shipped(name: str, role: str, package: ModuleType, methods: tuple[str, ...]) -> Any:
    classes: dict[str, Any] = {
        kind.__name__: kind
        for kind in classes_in(package)
        if not inspect.isabstract(kind)
        and not kind.__name__.startswith("_")
        and all(hasattr(kind, method) for method in methods)
    }
    classes.pop(OnPolicy.__name__, None)  # says the same of every policy: what the log's own earned
    if name not in classes:
        raise ConfigError(
            f"unknown {role} {name!r}{did_you_mean(name, classes)}: known are {', '.join(classes)}, or module:Class"
        )
    return classes[name]


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


def _signature(loaded: Any) -> str:
    """Return the options with their defaults, as they are written in a spec."""
    return ", ".join(str(option) for option in inspect.signature(loaded).parameters.values()) or "no options"
