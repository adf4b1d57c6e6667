"""Bodies from outside, parsed without trust: whatever is wrong is named, nothing of the input is echoed."""

import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from highwayman.env.errors import HighwaymanError
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import JsonObject

_LARGEST_INT = 2**63
_BRANCH = re.compile(
    r"^(str|bool|int|float|list\[.*|constrained-.*|function-.*)$"
)  # pydantic's names of a union's parts
_MOST_REPORTED = 5
_Model = TypeVar("_Model", bound=BaseModel)


class BadRequest(HighwaymanError):
    """A body or header that cannot be followed; `param` names the offending part, `status` is 400, 413 or 422."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


def parse_object(raw: bytes) -> JsonObject:
    """Return the JSON object in `raw`. Raises BadRequest for anything else, NaN and numbers too large included."""
    try:
        value = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    """Raise BadRequest for a number that JSON can write and hardly any server can read."""
    if isinstance(value, dict):
        for inner in value.values():
            _check_numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner)
    elif (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, int) and abs(value) > _LARGEST_INT
    ):
        raise BadRequest("The body holds a number that is too large.")


def validate(kind: type[_Model], body: JsonObject, *, status: int = 400) -> _Model:
    """Return the body as `kind` has it. Raises BadRequest with this status, naming what is wrong."""
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        location, message = _format_validation_error(kind, problems)
        raise BadRequest(message, param=location or None, status=status) from None


def _format_validation_error(kind: type[BaseModel], problems: Sequence[Any]) -> tuple[str, str]:
    """Return where the first problem lies and all of them in words; the branches of a union make one."""
    messages: dict[str, list[str]] = {}
    for problem in problems:
        location = ".".join(str(part) for part in problem["loc"] if not _BRANCH.match(str(part)))
        text = _unknown(kind, location) if problem["type"] == "extra_forbidden" else problem["msg"]
        messages.setdefault(location, []).append(text.replace("Input should be ", "must be "))
    descriptions = [
        f"{location}: {', or '.join(dict.fromkeys(texts))}"
        for location, texts in list(messages.items())[:_MOST_REPORTED]
    ]
    return next(iter(messages)), "; ".join(descriptions)


def _unknown(kind: type[BaseModel], key: str) -> str:
    return f"unknown key{did_you_mean(key, kind.model_fields)}"
