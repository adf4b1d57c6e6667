"""Signals by their class names: every file of this package that has one is known."""

from collections.abc import Mapping, Sequence
from typing import Any

import highwayman.env.confidence
from highwayman.env.class_paths import class_at, classes_in
from highwayman.env.confidence.signal import AskingSignal, Signal
from highwayman.env.errors import ConfigError
from highwayman.env.suggestions import did_you_mean


def shipped_signals() -> dict[str, type[Signal]]:
    """Return the signals of this package by their class names."""
    kinds = (kind for kind in classes_in(highwayman.env.confidence) if hasattr(kind, "read"))
    return {kind.__name__: kind for kind in kinds if kind not in (Signal, AskingSignal)}


def load_signals(specs: Sequence[str | Mapping[str, Mapping[str, Any]]]) -> tuple[Signal, ...]:
    """Return signals given by name, `Logprobs`, by name and options, `{Logprobs: {top: 3}}`, or by `module:Class`.

    Raises:
        ConfigError: a name is not known, options do not fit, or two signals tell something under one name.
    """
    signals: list[Signal] = []
    for spec in specs:
        name, options = (spec, {}) if isinstance(spec, str) else next(iter(spec.items()))
        try:
            signal = _class(name)(**options)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"cascade.signals: {name}: {error}") from error
        if not isinstance(signal, Signal):
            raise ConfigError(f"cascade.signals: {name} is no signal: it lacks names, asks_for or read(finished)")
        signals.append(signal)
    names = [name for signal in signals for name in signal.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"cascade.signals: told by two signals: {', '.join(twice)}")
    return tuple(signals)


def _class(name: str) -> Any:
    if ":" in name:
        return class_at(name)
    known = shipped_signals()
    if name not in known:
        raise ConfigError(
            f"cascade.signals: unknown signal {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}, "
            "or give module:Class"
        )
    return known[name]
