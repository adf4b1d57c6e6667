"""The JSON Schema of `highwayman.yaml`, with the options of the policies that are shipped."""

import inspect
from typing import Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter

from highwayman.bandit.loading import option_notes, policy_class, policy_options, shipped_policies
from highwayman.serving.config.config import Config
from highwayman.serving.config.policy import PolicyConfig


def config_schema() -> dict[str, Any]:
    """Return it, for editors; an option that the named policy does not take is an error by it."""
    schema = Config.model_json_schema()
    policies = shipped_policies()
    policy = schema["$defs"]["PolicyConfig"]
    policy["properties"]["name"]["anyOf"] = [{"enum": sorted(policies)}, {"type": "string", "pattern": ":"}]
    policy["allOf"] = [_case(name, policy_class(path)) for name, path in sorted(policies.items())]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Highwayman configuration"}


def _case(name: str, kind: type) -> dict[str, Any]:
    """Return which options there are, if the policy is the one of that name; who names none has the default."""
    needed = {} if name == PolicyConfig.model_fields["name"].default else {"required": ["name"]}
    options = {"properties": option_schemas(kind), "additionalProperties": False}
    return {"if": {"properties": {"name": {"const": name}}, **needed}, "then": {"properties": {"options": options}}}


def option_schemas(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of each option of a policy's class, with its default and what is said of it."""
    notes = option_notes(kind)
    return {
        name: {
            **_type(option.annotation),
            "default": list(option.default) if isinstance(option.default, tuple) else option.default,
            **({"description": notes[name]} if name in notes else {}),
        }
        for name, option in (policy_options(kind) or {}).items()
        if option.default is not inspect.Parameter.empty
    }


def _type(annotation: Any) -> dict[str, Any]:
    """Return what values are of a type, nothing of one that JSON has no word for."""
    try:
        return TypeAdapter(annotation).json_schema()
    except PydanticSchemaGenerationError:
        return {}
