"""Adapters by name: the shipped ones, or any class at an import path."""

import os
from collections.abc import Mapping
from typing import Any

import highwayman.feedback.integrations
from highwayman.env.class_paths import class_at, classes_in
from highwayman.env.errors import ConfigError
from highwayman.feedback.integrations.adapter import FeedbackAdapter

_FROM_ENVIRONMENT = "_env"  # at the end of an option's name: its value is the name of a variable that holds it


def shipped_adapters() -> dict[str, type]:
    """Return the adapters of this package by their class names."""
    kinds = (kind for kind in classes_in(highwayman.feedback.integrations) if hasattr(kind, "parse"))
    return {kind.__name__: kind for kind in kinds if kind is not FeedbackAdapter}


def load_adapter(name: str, options: Mapping[str, Any]) -> FeedbackAdapter:
    """Return the adapter that is shipped as `name`, or at the import path `module:Class`. Raises ConfigError."""
    try:
        adapter: Any = _class(name)(**{key: value for option in options.items() for key, value in [_option(*option)]})
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"feedback.doors: {name}: {error}") from error
    if not isinstance(adapter, FeedbackAdapter):
        raise ConfigError(f"feedback.doors: {name} is no adapter: it lacks source, routes or parse(request)")
    return adapter


def _class(name: str) -> Any:
    if ":" in name:
        return class_at(name)
    known = shipped_adapters()
    if name not in known:
        raise ConfigError(
            f"feedback.doors: unknown adapter {name!r}; known are {', '.join(known)}, or give module:Class"
        )
    return known[name]


def _option(name: str, value: Any) -> tuple[str, Any]:
    if not name.endswith(_FROM_ENVIRONMENT):
        return name, value
    if value not in os.environ:
        raise ValueError(f"{name}: the environment has no {value}")
    return name.removesuffix(_FROM_ENVIRONMENT), os.environ[value]
