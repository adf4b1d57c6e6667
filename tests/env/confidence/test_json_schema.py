import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from highwayman.env.confidence.json_schema import fits

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ({"name": "Ada"}, True),
        ({"name": "Ada", "age": 36}, True),
        ({"name": "Ada", "age": -1}, False),
        ({"age": 36}, False),
        ({"name": "Ada", "more": 1}, False),
        ([], False),
    ],
)
def test_a_value_fits_a_schema_or_does_not(value: Any, verdict: bool) -> None:
    assert fits(value, PERSON) is verdict


def test_true_and_false_are_schemas() -> None:
    assert fits(1, True) is True
    assert fits(1, False) is False


@pytest.mark.parametrize(
    "schema",
    [None, [], "object", {"$ref": "http://127.0.0.1:9/schema"}, {"$ref": "#/nowhere"}, {"$ref": "#"}, {"type": 5}],
    ids=str,
)
def test_what_is_no_schema_or_would_have_to_be_fetched_tells_nothing(schema: Any) -> None:
    assert fits(1, schema) is None


def test_a_schema_that_doubles_with_each_level_is_given_up_soon() -> None:
    levels: dict[str, Any] = {"level0": {}}
    for level in range(1, 60):
        levels[f"level{level}"] = {"allOf": [{"$ref": f"#/$defs/level{level - 1}"}] * 2}
    began = time.process_time()
    assert fits(1, {"$defs": levels, "$ref": "#/$defs/level59"}) is None
    assert time.process_time() - began < 5  # it would take longer than there are years


def nested(frames: int, schema: dict[str, Any]) -> bool | None:
    """Return whether an object fits, asked with so many frames more on the stack."""
    return nested(frames - 1, schema) if frames else fits({"x": 1}, schema)


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"if": {"$dynamicRef": "#"}}, {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#"}]}}}],
    ids=str,
)
def test_a_schema_without_end_is_given_up_before_the_stack_is_wherever_it_is_asked(schema: dict[str, Any]) -> None:
    # At the very end of the stack a library in between panics, which no handler of exceptions catches.
    assert {nested(frames, schema) for frames in range(0, 200, 3)} == {None}


def test_a_tree_as_deep_as_anybody_asks_for_fits_a_schema_that_refers_to_itself() -> None:
    schema = {"properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}, "required": ["name"]}
    tree: dict[str, Any] = {"name": "leaf"}
    for _ in range(30):
        tree = {"name": "node", "child": tree}
    assert fits(tree, schema) is True


@pytest.mark.parametrize(("value", "of"), [(3, 0), (3.5, 0), (10**400, 0.5)], ids=["none", "none of a part", "large"])
def test_a_multiple_that_cannot_be_reckoned_tells_nothing(value: float, of: float) -> None:
    assert fits(value, {"multipleOf": of}) is None


def test_a_pattern_of_a_stranger_is_not_run() -> None:
    began = time.process_time()
    assert fits({"a" * 40 + "!": "a" * 40 + "!"}, {"patternProperties": {"(a+)+$": {}}, "additionalProperties": False})
    assert fits("a" * 40 + "!", {"pattern": "(a+)+$"})
    assert time.process_time() - began < 5


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
keywords = st.sampled_from(
    ["type", "properties", "items", "required", "enum", "allOf", "not", "$ref", "minimum", "prefixItems", "contains"]
)


@given(values, st.dictionaries(keywords, values, max_size=3))
def test_no_schema_raises_anything(value: Any, schema: dict[str, Any]) -> None:
    assert fits(value, schema) in (True, False, None)
