"""The types of a JSON Schema in plain words."""

import json
from collections.abc import Callable, Mapping
from typing import Any

_SCALARS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


def type_words(schema: Mapping[str, Any], ref: Callable[[str], str] = lambda name: "map") -> str:
    """Return what values a schema takes; `ref` says it of a definition, by its name."""
    if "$ref" in schema:
        return ref(schema["$ref"].rpartition("/")[2])
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return _either([f"`{value if isinstance(value, str) else json.dumps(value)}`" for value in values])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return _either([type_words(part, ref) for part in schema[choice]])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_grouped(type_words(schema.get('items', {}), ref))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"map of {_grouped(type_words(inner, ref))}" if isinstance(inner, dict) and inner else "map"
    return _SCALARS[kind] + _bounds(schema) if isinstance(kind, str) else "anything"


def _either(words: list[str]) -> str:
    return " or ".join(dict.fromkeys(words))


def _grouped(words: str) -> str:
    return f"({words})" if " or " in words and words != _SCALARS["boolean"] else words


def _bounds(schema: Mapping[str, Any]) -> str:
    """Return between which numbers values lie, with a space before."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    bounds = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    told = [f"{sign} {schema[key]:g}" for key, sign in bounds.items() if key in schema]
    return f" {', '.join(told)}" if told else ""
