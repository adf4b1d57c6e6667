"""Types of a JSON Schema in words."""

from typing import Any

import pytest

from highwayman.serving.reference.schema_words import type_words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1}, "number from 0 to 1"),
        ({"type": "integer", "exclusiveMinimum": 0}, "whole number > 0"),
        ({"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]}, "number >= 0 or null"),
        ({"enum": ["no", "score"]}, "`no` or `score`"),
        ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}, "list of (text or map)"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "map of true or false"),
        ({"$ref": "#/$defs/Arm"}, "an Arm"),
        ({}, "anything"),
    ],
)
def test_types_are_told_in_plain_words(schema: dict[str, Any], words: str) -> None:
    assert type_words(schema, lambda name: f"an {name}") == words
