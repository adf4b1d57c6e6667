"""Whether a value fits a JSON schema. Neither is to be trusted: nothing is fetched, and the work is bounded."""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, cast

_MOST_STEPS: Final = 5_000  # keywords looked at: a schema that refers to itself twice doubles with each level
_STEPS: Final = ContextVar[list[int]]("_STEPS")
# Regular expressions of a stranger may take for ever, and to look for equal items may take their number squared.
_PASSED_OVER: Final = ("pattern", "patternProperties", "uniqueItems", "unevaluatedProperties", "unevaluatedItems")


class _TooManySteps(Exception):
    pass


def fits(value: Any, schema: Any) -> bool | None:
    """Return whether a value fits a schema (2020-12); None where that cannot be told: it is no schema, or takes long.

    A pattern is taken to be met, and so is that items differ. A schema at an address is not fetched.
    """
    import jsonschema  # noqa: PLC0415  (takes as long to import as half of the router)
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    if schema is True or schema is False:
        return bool(schema)
    if not isinstance(schema, dict):
        return None
    token = _STEPS.set([_MOST_STEPS])
    try:
        return bool(_validator()(schema, registry=Registry()).is_valid(value))
    except (_TooManySteps, Unresolvable):
        return None
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError, jsonschema.exceptions.UnknownType):
        return None
    finally:
        _STEPS.reset(token)


@cache
def _validator() -> Callable[..., Any]:
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415

    standard, extend = Draft202012Validator, cast(Callable[..., Any], validators.extend)
    counted = {name: _counted(check) for name, check in standard.VALIDATORS.items() if name not in _PASSED_OVER}
    counted["additionalProperties"] = _without_patterns(counted["additionalProperties"])
    checks = {**counted, **dict.fromkeys(_PASSED_OVER, _met)}
    bounded: Callable[..., Any] = extend(standard, checks)
    return bounded


def _without_patterns(check: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """Return a check that is met where it would have to look for names by pattern."""

    def checking(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
        return iter(()) if "patternProperties" in schema else check(validator, wanted, value, schema)

    return checking


def _counted(check: Callable[..., Iterable[Any] | None]) -> Callable[..., Iterator[Any]]:
    def counting(validator: Any, *arguments: Any) -> Iterator[Any]:
        steps = _STEPS.get()
        steps[0] -= 1
        if steps[0] < 0:
            raise _TooManySteps
        yield from check(validator, *arguments) or ()

    return counting


def _met(*_: Any) -> Iterator[Any]:
    return iter(())
