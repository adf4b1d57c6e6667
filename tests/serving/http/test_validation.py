"""What is said of bodies that cannot be followed: where it lies and what would be right, five problems at most."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from highwayman.serving.http.validation import BadRequest, BodyLimits, parse_body, parse_object, validate


class Order(BaseModel):
    """A model that knows its keys."""

    model_config = ConfigDict(extra="forbid", strict=True)
    count: int = 1
    taste: bool | str = ""
    sizes: list[int] | None = None


class Letter(BaseModel):
    """A model that lets others' keys be."""

    text: str


def refusal(kind: type[BaseModel], body: dict[str, Any], **more: Any) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        validate(kind, body, **more)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "limits", "status", "message"),
    [
        (b'{"a": ', BodyLimits(), 400, "The body is not valid JSON: "),
        (b'{"a": NaN}', BodyLimits(), 400, "The body is not valid JSON: "),
        (b'{"a": 1e999}', BodyLimits(), 400, "The body holds a number that is too large."),
        (b'{"a": %d}' % 2**70, BodyLimits(), 400, "The body holds a number that is too large."),
        (b"[" + b"1," * 50_000 + b"1]", BodyLimits(values=1000), 413, "more than the 1000 values and keys"),
    ],
    ids=["cut", "NaN", "infinite", "integer", "many"],
)
def test_a_body_that_cannot_be_read_is_refused_with_its_reason(
    raw: bytes, limits: BodyLimits, status: int, message: str
) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        parse_body(raw, limits)
    assert (caught.value.status, caught.value.param) == (status, None)


def test_a_body_that_must_be_an_object_and_is_not_is_refused_and_any_value_is_one_where_it_may_be() -> None:
    assert parse_object(b'{"a": 1}') == {"a": 1}
    assert parse_body(b"[1]") == [1]
    with pytest.raises(BadRequest, match="must be a JSON object"):
        parse_object(b"[1]")


def test_unknown_keys_are_named_with_what_was_meant_and_their_values_are_not() -> None:
    error = refusal(Order, {"cuont": "secret"})
    assert (str(error), error.param, error.status) == ("cuont: unknown key (did you mean 'count'?)", "cuont", 400)
    long = refusal(Order, {"x" * 65: 1}, status=422)
    assert (str(long), long.status) == (f"{'x' * 64}…: unknown key", 422)
    assert str(refusal(Order, {"x" * 64: 1})) == f"{'x' * 64}: unknown key"
    assert validate(Letter, {"text": "Hi", "others": 1}) == Letter(text="Hi")


def test_all_branches_of_a_union_are_one_problem_under_the_fields_own_name() -> None:
    assert str(refusal(Order, {"taste": []})) == "taste: must be a valid boolean, or must be a valid string"
    assert str(refusal(Order, {"sizes": [1, "2"]})).startswith("sizes.1: must be a valid integer")


def test_five_problems_are_told_and_no_more_are_looked_for() -> None:
    looked_at = []

    def checks() -> Any:
        for n in range(100):
            looked_at.append(n)
            yield f"messages.{n}", "must be an object"

    error = refusal(Letter, {"text": "Hi"}, checks=checks())
    assert str(error) == "; ".join(f"messages.{n}: must be an object" for n in range(5))
    assert error.param == "messages.0"
    assert len(looked_at) == 5
    assert str(refusal(Order, {f"k{n}": 1 for n in range(9)})).count("unknown key") == 5


def test_what_is_wrong_of_the_whole_names_no_field() -> None:
    error = refusal(Letter, {"text": "Hi"}, checks=[("", "says nothing")])
    assert (str(error), error.param) == (": says nothing", None)
