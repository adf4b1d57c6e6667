"""Bodies from outside, parsed without trust: what is wrong is named, and only unknown keys are echoed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from highwayman.env.errors import HighwaymanError
from highwayman.env.json_pieces import InvalidJson, NumberTooLarge, parse_json
from highwayman.env.json_structure import TooManyValues
from highwayman.env.suggestions import did_you_mean
from highwayman.env.types import JsonObject

_BRANCH = re.compile(
    r"^(str|bool|int|float|list\[.*|constrained-.*|function-.*)$"
)  # pydantic's names of a union's parts
_MOST_REPORTED = 5
_LONGEST_NAME = 64  # of an unknown key, as far as it is told
_Model = TypeVar("_Model", bound=BaseModel)
Problem = tuple[str, str]  # where it lies, and what would be right


class BadRequest(HighwaymanError):
    """A body or header that cannot be followed; `param` names the offending part, `status` is 400, 413, 415 or 422."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How much a body may hold, beside its bytes."""

    values: int = 500_000  # values and keys
    messages: int = 10_000  # of a conversation


DEFAULT_LIMITS = BodyLimits()


def parse_body(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> Any:
    """Return the JSON value in `raw`.

    Raises:
        BadRequest: it is none, NaN and numbers too large included, or (status 413) it holds too much.
    """
    try:
        return parse_json(raw, most_values=limits.values)
    except InvalidJson as error:
        raise BadRequest(f"The body is not valid JSON: {error}") from None
    except NumberTooLarge:
        raise BadRequest("The body holds a number that is too large.") from None
    except TooManyValues:
        raise BadRequest(
            f"The body holds more than the {limits.values} values and keys allowed here.", status=413
        ) from None


def parse_object(raw: bytes, limits: BodyLimits = DEFAULT_LIMITS) -> JsonObject:
    """Return the JSON object in `raw`. Raises BadRequest for anything else, and where `parse_body` does."""
    value = parse_body(raw, limits)
    if not isinstance(value, dict):
        raise BadRequest("The body must be a JSON object.")
    return value


def validate(kind: type[_Model], body: JsonObject, *, status: int = 400, checks: Iterable[Problem] = ()) -> _Model:
    """Return the body as `kind` has it: its fields only, so that no more is looked at than there are of them.

    Args:
        kind: a model whose every field takes a bounded time: no list or dict of anything that is checked one by one.
        body: what came.
        status: of the refusal.
        checks: problems of what `kind` leaves unchecked, made as they are asked for, and no more than five of them.

    Raises:
        BadRequest: what is wrong, by name; of the input, only the names of unknown keys.
    """
    problems: list[Problem] = []
    names, is_closed = _fields(kind)
    if is_closed:
        unknown = (key for key in body if key not in names)
        problems += [_unknown_key(kind, key) for key in islice(unknown, _MOST_REPORTED)]
    model: _Model | None = None
    try:
        model = kind.model_validate({name: body[name] for name in names if name in body})
    except ValidationError as error:
        problems += _described(error.errors(include_input=False, include_url=False, include_context=False))
    problems += islice(checks, _MOST_REPORTED)
    if model is None or problems:
        told = problems[:_MOST_REPORTED]
        message = "; ".join(f"{location}: {text}" for location, text in told)
        raise BadRequest(message, param=told[0][0] or None, status=status)
    return model


@cache
def _fields(kind: type[BaseModel]) -> tuple[tuple[str, ...], bool]:
    """Return a model's fields, and whether it forbids others; both take a while to ask for."""
    return tuple(kind.model_fields), kind.model_config.get("extra") == "forbid"


def _described(errors: Sequence[Any]) -> list[Problem]:
    """Return where each problem lies and what would be right; the branches of a union make one."""
    messages: dict[str, list[str]] = {}
    for problem in errors:
        location = ".".join(str(part) for part in problem["loc"] if not _BRANCH.match(str(part)))
        messages.setdefault(location, []).append(problem["msg"].replace("Input should be ", "must be "))
    return [(location, ", or ".join(dict.fromkeys(texts))) for location, texts in messages.items()]


def _unknown_key(kind: type[BaseModel], key: str) -> Problem:
    if len(key) > _LONGEST_NAME:
        return f"{key[:_LONGEST_NAME]}…", "unknown key"
    return key, f"unknown key{did_you_mean(key, kind.model_fields)}"
