"""Whether a value fits a JSON schema. Neither is to be trusted: nothing is fetched, and the work is bounded."""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

_MOST_STEPS: Final = 5_000  # keywords looked at: a schema that refers to itself twice doubles with each level
_MOST_DEPTH: Final = 100  # keywords within one another, five frames each: at the end of the stack a library panics
# Regular expressions of a stranger may take for ever, and to look for equal items may take their number squared.
_PASSED_OVER: Final = ("pattern", "patternProperties", "uniqueItems", "unevaluatedProperties", "unevaluatedItems")


class _TooManySteps(Exception):
    pass


@dataclass(slots=True)
class _Work:
    """What has been done for one value."""

    steps: int = 0
    depth: int = 0


_WORK: Final = ContextVar[_Work]("_WORK")


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
    token = _WORK.set(_Work())
    try:
        return bool(_validator()(schema, registry=Registry()).is_valid(value))
    except (_TooManySteps, Unresolvable):
        return None
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError, jsonschema.exceptions.UnknownType):
        return None
    except ArithmeticError:  # a multiple of 0; a number too large to be divided
        return None
    finally:
        _WORK.reset(token)


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
        work = _WORK.get()
        work.steps += 1
        work.depth += 1
        try:
            if work.steps > _MOST_STEPS or work.depth > _MOST_DEPTH:
                raise _TooManySteps
            yield from check(validator, *arguments) or ()
        finally:
            work.depth -= 1

    return counting


def _met(*_: Any) -> Iterator[Any]:
    return iter(())
