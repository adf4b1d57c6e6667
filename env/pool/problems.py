"""Says what is wrong with a pool file, and what would be right, in one line per problem."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from highwayman.env.pool.schema import (
    ArmEntry,
    ExampleEntry,
    LaunchEntry,
    NamedModelEntry,
    PoolEntries,
    ProfileEntry,
    QuirksEntry,
)
from highwayman.env.pool.yaml_lines import Location, YamlDocument
from highwayman.env.suggestions import closest, did_you_mean

_SECRET_KEYS = frozenset(  # somebody may have put a key there
    {"api_key_env", "endpoint", "endpoints", "env", "headers"}
)
_UNION_MEMBERS = frozenset({"str", "int", "float", "bool", "literal['unknown']"})
_PARTS: Mapping[str, type[BaseModel]] = {"profile": ProfileEntry, "quirks": QuirksEntry, "launch": LaunchEntry}
_EXPECTED = {
    "string_type": "must be text (in quotes, if YAML takes it for something else)",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "bool_type": "must be true, false or unknown",  # `tools` is the only one
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
}


class Problem(NamedTuple):
    """What is wrong, and where."""

    location: Location
    text: str


def report(document: YamlDocument, problems: list[Problem]) -> str:
    """Return the problems as lines `FILE:LINE: arm 'NAME': TEXT`, in the order of the file; no LINE without a file."""
    if document.root is None and document.data is not None:
        return "\n".join(sorted({f"{document.name}: {_subject(problem)}{problem.text}" for problem in problems}))
    numbered = sorted({(document.line(problem.location), _subject(problem) + problem.text) for problem in problems})
    return "\n".join(f"{document.name}:{line}: {text}" for line, text in numbered)


def schema_problems(data: object, error: ValidationError) -> Iterator[Problem]:
    """Yield the problems pydantic found in `data`, without those that only follow from a misspelt key."""
    seen: set[Location] = set()
    for details in error.errors(include_url=False):
        location = _without_union_members(details["loc"])
        if location in seen:  # another member of a union that also did not fit
            continue
        seen.add(location)
        if details["type"] == "missing" and location[-1] in _meant(_value(data, location[:-1]), location):
            continue
        yield Problem(location, _sentence(details, location))


def arm_problems(name: str, raw: Mapping[Any, Any]) -> Iterator[Problem]:
    """Yield what the keys of one arm, each perhaps fine alone, get wrong together."""
    location = ("arms", name)
    given = _meant({key: value for key, value in raw.items() if value is not None}, (*location, ""))
    yield from (Problem(location, text) for text in (*_price(given), *_endpoint(given), *_window(given, raw)))


def _price(given: set[str]) -> Iterator[str]:
    prices = {"usd_per_mtok_in", "usd_per_mtok_out"} & given
    if "price" in given and prices:
        yield f"both `price` and {' and '.join(sorted(prices))}. Keep the one that is true."
    elif len(prices) == 1:
        (missing,) = {"usd_per_mtok_in", "usd_per_mtok_out"} - prices
        yield f"{prices.pop()} without {missing}. Give both, or `price: unknown` to route it without cost."
    elif not prices and "price" not in given:
        yield "no price. Give usd_per_mtok_in and usd_per_mtok_out, or `price: unknown` to route it without cost."


def _endpoint(given: set[str]) -> Iterator[str]:
    if {"endpoint", "endpoints"} <= given:
        yield "both endpoint and endpoints. Put every URL in endpoints."
    elif not {"endpoint", "endpoints", "launch"} & given:
        yield "no endpoint. Give the server's base URL, such as `endpoint: http://10.0.0.1:8000`."


def _window(given: set[str], raw: Mapping[Any, Any]) -> Iterator[str]:
    launch = raw.get("launch")
    if "context_window_tokens" in given or (isinstance(launch, Mapping) and "max_model_len" in launch):
        return
    yield "no context_window_tokens. Give the most tokens of prompt and answer together that the model can hold."


def _sentence(details: ErrorDetails, location: Location) -> str:
    kind, key = details["type"], location[-1] if location else ""
    field = _field(location)
    if kind == "extra_forbidden":
        return f"unknown key {_path(location)!r}{_suggestion(str(key), location)}"
    if kind == "missing":
        return f"no {_path(location)}. {_hint(location)}"
    if key == "[key]":
        return _expected(details) if kind == "value_error" else f"the name {details['input']!r} {_expected(details)}"
    shown = "" if _SECRET_KEYS & {str(step) for step in location} else f", got {_short(details['input'])}"
    return f"{field}{_expected(details)}{'' if kind == 'value_error' else shown}"


def _expected(details: ErrorDetails) -> str:
    if details["type"] == "value_error":
        return details["msg"].removeprefix("Value error, ")
    return _EXPECTED.get(details["type"]) or details["msg"].replace("Input should", "must", 1)


def _suggestion(key: str, location: Location) -> str:
    known = list(_model_at(location).model_fields)
    return did_you_mean(key, known) or f". Known here: {', '.join(known)}"


def _meant(raw: object, location: Location) -> set[str]:
    """Return the known keys that the keys of `raw` are, or seem to be misspellings of."""
    known = list(_model_at(location).model_fields)
    keys = [str(key) for key in raw] if isinstance(raw, Mapping) else []
    return {key if key in known else closest(key, known) or key for key in keys}


def _model_at(location: Location) -> type[BaseModel]:
    match list(location[:-1]):
        case ["by_name", _]:
            return NamedModelEntry
        case ["arms", _]:
            return ArmEntry
        case ["arms", _, ("profile" | "quirks" | "launch") as part]:
            return _PARTS[part]
        case ["arms", _, "profile", "few_shot", _]:
            return ExampleEntry
        case _:
            return PoolEntries


def _hint(location: Location) -> str:
    field = _model_at(location).model_fields.get(str(location[-1]))
    return (field.description if field else None) or ""


def _subject(problem: Problem) -> str:
    if len(problem.location) < 2:
        return ""
    kind = "arm" if problem.location[0] == "arms" else "by_name"
    return f"{kind} '{problem.location[1]}': "


def _field(location: Location) -> str:
    path = _path(location)
    return f"{path} " if path else ""


def _path(location: Location) -> str:
    steps = location[2:] if len(location) > 1 else location
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _without_union_members(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Drop what pydantic appends to tell apart the members of a union of scalars."""
    return tuple(step for step in location if step not in _UNION_MEMBERS or step in location[:2])


def _value(data: Any, location: Location) -> Any:
    for step in location:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
