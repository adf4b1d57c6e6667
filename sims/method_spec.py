"""Estimators and intervals named on a command line: `ClippedIPS:cap=10`, `ClusteredBootstrap:replicates=1000`."""

import importlib
import inspect
import json
import pkgutil
from difflib import get_close_matches
from types import ModuleType
from typing import Any

import highwayman.sims.estimators
import highwayman.sims.intervals
from highwayman.env.errors import ConfigError
from highwayman.sims.estimate import Estimator, Interval


def estimator_named(spec: str) -> Estimator:
    """Return the estimator that `NAME[:option=value,...]` or `module:Class[:...]` names. Raises ConfigError."""
    found: Estimator = _made(spec, "estimator", highwayman.sims.estimators, ("fit", "rounds"))
    return found


def interval_named(spec: str) -> Interval:
    """Return the interval that a spec names, as for estimators. Raises ConfigError."""
    found: Interval = _made(spec, "interval", highwayman.sims.intervals, ("add", "interval"))
    return found


def _made(spec: str, what: str, package: ModuleType, methods: tuple[str, ...]) -> Any:
    name, colon, last = spec.rpartition(":")
    if not colon or "=" not in last:
        name, last = spec, ""
    one = _imported(name, what) if ":" in name else _shipped(name, what, package, methods)
    try:
        return one(**_options(last))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} {spec!r}: {error}") from error


def _imported(path: str, what: str) -> Any:
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {path!r}: {error}") from error


def _shipped(name: str, what: str, package: ModuleType, methods: tuple[str, ...]) -> Any:
    known: dict[str, Any] = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        for found, one in inspect.getmembers(module, inspect.isclass):
            ours = one.__module__ == module.__name__ and not inspect.isabstract(one)
            if ours and not found.startswith("_") and all(hasattr(one, method) for method in methods):
                known[found] = one
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"unknown {what} {name!r}: {hint}known are {', '.join(known)}, or give module:Class")
    return known[name]


def _options(text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        key, _, value = pair.partition("=")
        try:
            options[key.strip()] = json.loads(value)
        except ValueError:
            options[key.strip()] = value.strip()
    return options
