"""Worlds written as text, for the command line: `Thumbs:rate=0.05,flip=0.1+Delay:mean_s=600`."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

import highwayman.sims.simulation.worlds
from highwayman.env.class_paths import classes_in
from highwayman.env.suggestions import did_you_mean
from highwayman.sims.simulation.scenario import Stage, World, WorldError

CALM = "calm"
_BETWEEN_WORLDS = re.compile(r"\+(?=\s*[A-Za-z]\w*\s*(?:[:+]|$))")  # not the plus of `1e+3` or of an arm's name
_BETWEEN_PARAMETERS = re.compile(r",(?=\s*\w+\s*=)")


def shipped_worlds() -> dict[str, type[World]]:
    """Return every world in the package `sims.worlds`, by its class's name."""
    return {
        kind.__name__: cast(type[World], kind)
        for kind in classes_in(highwayman.sims.simulation.worlds)
        if is_dataclass(kind) and isinstance(getattr(kind, "stage", None), Stage) and hasattr(kind, "apply")
    }


def parse_world(spec: str) -> list[World]:
    """Return the worlds that `spec` names, each as `Name` or `Name:parameter=value,...`, joined by `+`.

    `calm` is no world at all. A parameter that is given by arm is written `arm:value;arm:value`.

    >>> parse_world("Missing:rate=0.1,factors=large:2;small:1")
    [Missing(rate=0.1, rate_when_bad=None, factors={'large': 2.0, 'small': 1.0})]

    Raises:
        WorldError: a world or a parameter is unknown, or a value is of the wrong type or out of its range.
    """
    parts = [part.strip() for part in _BETWEEN_WORLDS.split(spec.strip())]
    if parts == [CALM]:
        return []
    return [_parse_part(part) for part in parts]


def _parse_part(part: str) -> World:
    name, _, text = part.partition(":")
    worlds = shipped_worlds()
    if name not in worlds:
        hint = did_you_mean(name, [*worlds, CALM])
        signatures = "\n  ".join(f"{known}({_signature(world)})" for known, world in worlds.items())
        raise WorldError(f"unknown world {name!r}{hint}. Known are {CALM} and\n  {signatures}")
    world = worlds[name]
    hints = {field: hint for field, hint in get_type_hints(world).items() if field != "stage"}
    parameters: dict[str, Any] = {}
    for pair in filter(None, _BETWEEN_PARAMETERS.split(text)):
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not equals:
            raise WorldError(f"world {part!r}: {pair.strip()!r} is no parameter=value")
        if key not in hints:
            raise WorldError(
                f"world {part!r}: unknown parameter {key!r}{did_you_mean(key, hints)}. {name} takes {_signature(world)}"
            )
        if key in parameters:
            raise WorldError(f"world {part!r}: {key} is given twice")
        parameters[key] = _value(value, hints[key], f"world {part!r}: {key}")
    try:
        return world(**parameters)
    except ValueError as error:
        raise WorldError(f"world {part!r}: {error}") from error


def _signature(world: type[World]) -> str:
    """Return the parameters with their defaults, as they are written in a spec."""
    parameters = []
    for field in fields(cast(Any, world)):
        default = field.default_factory() if callable(field.default_factory) else field.default
        parameters.append(f"{field.name}=arm:value;..." if default == {} else f"{field.name}={default}")
    return ", ".join(parameters)


def _value(text: str, hint: Any, where: str) -> Any:
    """Return `text` as a value of the annotation `hint`: a number, a text, a number by arm, or one of these or None."""
    options = get_args(hint)
    if NoneType in options:
        return (
            None
            if text.lower() == "none"
            else _value(text, next(option for option in options if option is not NoneType), where)
        )
    if get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
        entries = [entry.rpartition(":") for entry in text.split(";")]
        return {arm.strip(): _value(value, float, f"{where} of arm {arm.strip()!r}") for arm, _, value in entries}
    try:
        return hint(text)
    except ValueError:
        raise WorldError(f"{where} must be a number, got {text!r}") from None
