"""The routes of an OpenAPI document, as people read them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from highwayman.env.types import JsonObject
from highwayman.serving.reference.schema_words import type_words


@dataclass(frozen=True, slots=True)
class RouteField:
    """Something that a request carries."""

    name: str
    where: str  # path, query, or body with its media type
    words: str  # its type; empty: the protocol's
    needed: bool
    description: str

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        return ", ".join(filter(None, (self.words, "needed" if self.needed else "")))


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """One method of one path."""

    group: str
    method: str
    path: str
    summary: str
    fields: tuple[RouteField, ...]
    responses: Mapping[str, str]  # by status, in words


def route_entries(document: JsonObject) -> list[RouteEntry]:
    """Return every route of a document, by group, in the order of the document's tags."""
    groups = [tag["name"] for tag in document["tags"]]
    entries = [
        _entry(path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return sorted(entries, key=lambda entry: groups.index(entry.group))  # within a group as they came


def _entry(path: str, method: str, operation: JsonObject) -> RouteEntry:
    parameters = [
        RouteField(
            *(each["name"], each["in"], type_words(each["schema"])),
            needed=each.get("required", False),
            description=each.get("description", ""),
        )
        for each in operation.get("parameters", ())
    ]
    responses = {status: response["description"] for status, response in operation["responses"].items()}
    body = [
        field
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
        for field in _body_fields(content["schema"], f"body, {media_type}")
    ]
    group = operation["tags"][0]
    return RouteEntry(group, method.upper(), path, operation["summary"], (*parameters, *body), responses)


def _words(schema: JsonObject, named: Callable[[str], str]) -> str:
    return type_words(schema, named) if schema else ""


def _body_fields(schema: JsonObject, where: str) -> Sequence[RouteField]:
    needed, definitions = schema.get("required", ()), schema.get("$defs", {})

    def named(name: str) -> str:
        return type_words(definitions[name]) if name in definitions else "map"

    properties: Mapping[str, Any] = {**{name: {} for name in needed}, **schema.get("properties", {})}
    return [
        RouteField(name, where, _words(of_field, named), name in needed, of_field.get("description", ""))
        for name, of_field in properties.items()
    ]
